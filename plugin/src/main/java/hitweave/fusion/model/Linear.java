package hitweave.fusion.model;

import java.io.IOException;

/** A linear layer. */
final class Linear {
    private final float[][] ofInput; // [in][out]
    private final float[] bias;

    /** The layer of that name. */
    Linear(ModelFile file, String name) throws IOException {
        bias = file.floats(name + ".bias");
        float[][] weight = file.rows(name + ".weight");
        if (bias.length != weight.length) {
            throw new BrokenModel(name + " has weights of another width than its bias");
        }
        ofInput = turned(weight);
    }

    float[] of(float[] input) {
        if (input.length != ofInput.length) {
            throw new IllegalArgumentException("a layer of " + ofInput.length + " numbers is given " + input.length);
        }
        float[] output = bias.clone();
        add(output, input, ofInput);
        return output;
    }

    /**
     * Adds every row, each by its factor. Four at once and along the rows: this form the JVM turns into vector
     * instructions by itself, which a loop of dot products needs a module for.
     */
    static void add(float[] to, float[] factors, float[][] rows) {
        int row = 0;
        for (; row + 3 < factors.length; row += 4) {
            float a = factors[row], b = factors[row + 1], c = factors[row + 2], d = factors[row + 3];
            float[] first = rows[row], second = rows[row + 1], third = rows[row + 2], fourth = rows[row + 3];
            for (int at = 0; at < to.length; at++) {
                to[at] += a * first[at] + b * second[at] + c * third[at] + d * fourth[at];
            }
        }
        for (; row < factors.length; row++) {
            float factor = factors[row];
            float[] one = rows[row];
            for (int at = 0; at < to.length; at++) {
                to[at] += factor * one[at];
            }
        }
    }

    private static float[][] turned(float[][] rows) {
        float[][] turned = new float[rows[0].length][rows.length];
        for (int row = 0; row < rows.length; row++) {
            for (int at = 0; at < turned.length; at++) {
                turned[at][row] = rows[row][at];
            }
        }
        return turned;
    }
}
