package hitweave.fusion.model;

import java.util.Arrays;

/** Where a value stands within its list, computed as the sidecar does; NaN is no value. */
final class InList {
    private static final float EQUAL_ABSOLUTE = 1e-7f, EQUAL_RELATIVE = 1e-5f, LOWEST = -1e30f;

    private InList() {}

    /** Share of the list strictly below, 0 to 1; what rounding leaves equal is equal. */
    static float[] place(float[] values) {
        int count = values.length;
        float[] places = new float[count];
        if (count < 2) {
            return places;
        }
        float[] filled = values.clone();
        for (int row = 0; row < count; row++) {
            filled[row] = Float.isFinite(filled[row]) ? filled[row] : LOWEST;
        }
        float[] rising = filled.clone();
        Arrays.sort(rising);
        int[] first = new int[count];
        for (int at = 1; at < count; at++) {
            boolean apart = rising[at] - rising[at - 1] > EQUAL_ABSOLUTE + EQUAL_RELATIVE * Math.abs(rising[at]);
            first[at] = apart ? at : first[at - 1];
        }
        for (int row = 0; row < count; row++) {
            places[row] = (float) (first[notAbove(rising, filled[row])] / (double) (count - 1));
        }
        return places;
    }

    /** Each value over the sum of the list; zeros where there is none. */
    static float[] share(float[] values) {
        double total = 0;
        for (float value : values) {
            total += positive(value);
        }
        float[] shares = new float[values.length];
        for (int row = 0; row < values.length && total > 0; row++) {
            shares[row] = (float) (positive(values[row]) / total);
        }
        return shares;
    }

    /** Standard scores; zeros where fewer than two values are there. */
    static float[] standard(float[] values) {
        double[] known = known(values);
        float[] scores = new float[values.length];
        if (known.length < 2) {
            return scores;
        }
        double mean = Arrays.stream(known).average().orElse(0);
        double variance = Arrays.stream(known).map(value -> (value - mean) * (value - mean)).average().orElse(0);
        for (int row = 0; row < values.length; row++) {
            scores[row] = (float) ((values[row] - mean) / (Math.sqrt(variance) + 1e-6));
        }
        return scores;
    }

    /** Log share of distinct better values; 0 is the best. */
    static float[] gap(float[] values) {
        double[] distinct = Arrays.stream(known(values)).sorted().distinct().toArray();
        float[] gaps = new float[values.length];
        for (int row = 0; row < values.length; row++) {
            int at = Arrays.binarySearch(distinct, values[row]);
            gaps[row] = at < 0 ? Float.NaN : (float) (Math.log1p(distinct.length - 1 - at) / Math.log1p(distinct.length));
        }
        return gaps;
    }

    /** Middle of what is known; NaN where nothing is. */
    static float median(float[] values) {
        double[] known = known(values);
        Arrays.sort(known);
        int half = known.length / 2;
        if (known.length == 0) {
            return Float.NaN;
        }
        return (float) (known.length % 2 == 1 ? known[half] : (known[half - 1] + known[half]) / 2);
    }

    /** The greatest of what is known; 0 where nothing is. */
    static float best(float[] values) {
        return (float) Arrays.stream(known(values)).max().orElse(0);
    }

    private static double[] known(float[] values) {
        double[] found = new double[values.length];
        int count = 0;
        for (float value : values) {
            if (Float.isFinite(value)) {
                found[count++] = value;
            }
        }
        return Arrays.copyOf(found, count);
    }

    private static float positive(float value) {
        return Float.isFinite(value) ? Math.max(value, 0) : 0;
    }

    /** The first place of a value in what rises. */
    private static int notAbove(float[] rising, float value) {
        int low = 0, high = rising.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (rising[middle] < value) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }
}
