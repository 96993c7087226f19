package hitweave.fusion.model;

/** What lies between the layers, in place. */
final class Activation {
    private static final float EPSILON = 1e-5f;

    private Activation() {}

    static float[] add(float[] to, float[] what) {
        for (int at = 0; at < to.length; at++) {
            to[at] += what[at];
        }
        return to;
    }

    static float[] softmax(float[] logits) {
        float most = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            most = Math.max(most, logit);
        }
        float sum = 0;
        for (int at = 0; at < logits.length; at++) {
            logits[at] = (float) Math.exp(logits[at] - most);
            sum += logits[at];
        }
        for (int at = 0; at < logits.length; at++) {
            logits[at] /= sum;
        }
        return logits;
    }

    static float[] tanh(float[] values) {
        for (int at = 0; at < values.length; at++) {
            values[at] = (float) (1 - 2 / (Math.exp(2 * values[at]) + 1)); // older JVMs take long over Math.tanh
        }
        return values;
    }

    /** x times the normal distribution's share below it (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
    static float[] gelu(float[] values) {
        for (int at = 0; at < values.length; at++) {
            double x = values[at];
            values[at] = (float) (0.5 * x * (1 + erf(x / Math.sqrt(2))));
        }
        return values;
    }

    /** Abramowitz and Stegun 1964, 7.1.26; off by 1.5e-7 at the most. */
    private static double erf(double x) {
        double t = 1 / (1 + 0.3275911 * Math.abs(x));
        double series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
        return Math.copySign(1 - series * Math.exp(-x * x), x);
    }

    /** A layer norm; the input stays. */
    static float[] normal(float[] values, float[] weight, float[] bias) {
        double sum = 0, squares = 0;
        for (float value : values) {
            sum += value;
        }
        double mean = sum / values.length;
        for (float value : values) {
            squares += (value - mean) * (value - mean);
        }
        double scale = 1 / Math.sqrt(squares / values.length + EPSILON);
        float[] found = new float[values.length];
        for (int at = 0; at < found.length; at++) {
            found[at] = (float) ((values[at] - mean) * scale) * weight[at] + bias[at];
        }
        return found;
    }
}
