package hitweave.fusion.model;

import org.apache.lucene.util.VectorUtil;

import java.io.IOException;

/** A linear layer; Lucene's dot product uses what the processor has. */
final class Linear {
    private final float[][] weight;
    private final float[] bias;

    /** The layer of that name; its bias may be absent. */
    Linear(ModelFile file, String name) throws IOException {
        weight = file.rows(name + ".weight");
        bias = file.floats(name + ".bias");
        if (bias.length != weight.length) {
            throw new BrokenModel(name + " has weights of another width than its bias");
        }
    }

    float[] of(float[] input) {
        float[] output = new float[weight.length];
        for (int row = 0; row < output.length; row++) {
            output[row] = VectorUtil.dotProduct(weight[row], input) + bias[row];
        }
        return output;
    }
}
