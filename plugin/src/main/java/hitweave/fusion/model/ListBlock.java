package hitweave.fusion.model;

import java.io.IOException;
import java.util.Arrays;

/** A pre-norm transformer block over the candidates of a list, as `ListBlock` of the training. */
final class ListBlock {
    private final int heads;
    private final float[] normWeight1, normBias1, normWeight2, normBias2;
    private final Linear qkv, out, feedIn, feedOut;

    ListBlock(ModelFile file, String name, int heads) throws IOException {
        this.heads = heads;
        normWeight1 = file.floats(name + ".norm_1.weight");
        normBias1 = file.floats(name + ".norm_1.bias");
        normWeight2 = file.floats(name + ".norm_2.weight");
        normBias2 = file.floats(name + ".norm_2.bias");
        qkv = new Linear(file, name + ".qkv");
        out = new Linear(file, name + ".out");
        feedIn = new Linear(file, name + ".feed.0");
        feedOut = new Linear(file, name + ".feed.2");
    }

    /** Changes the states of the candidates [candidates][width] in place. */
    void apply(float[][] states) {
        int count = states.length, width = states[0].length, part = width / heads;
        float[][] mixed = new float[count][width];
        float[][] read = new float[count][];
        for (int at = 0; at < count; at++) {
            read[at] = qkv.of(Activation.normal(states[at], normWeight1, normBias1));
        }
        for (int head = 0; head < heads; head++) {
            attend(read, mixed, head * part, width, part);
        }
        for (int at = 0; at < count; at++) {
            float[] state = Activation.add(states[at], out.of(mixed[at]));
            float[] fed = Activation.gelu(feedIn.of(Activation.normal(state, normWeight2, normBias2)));
            Activation.add(state, feedOut.of(fed));
        }
    }

    /** One head, whose part of the width begins {@code from}. */
    private static void attend(float[][] read, float[][] mixed, int from, int width, int part) {
        int count = read.length;
        float[][] keys = new float[part][count], values = new float[count][];
        for (int at = 0; at < count; at++) {
            for (int place = 0; place < part; place++) {
                keys[place][at] = read[at][width + from + place];
            }
            values[at] = Arrays.copyOfRange(read[at], 2 * width + from, 2 * width + from + part);
        }
        float scale = (float) (1 / Math.sqrt(part));
        for (int at = 0; at < count; at++) {
            float[] query = Arrays.copyOfRange(read[at], from, from + part);
            for (int place = 0; place < part; place++) {
                query[place] *= scale;
            }
            float[] weights = new float[count], found = new float[part];
            Linear.add(weights, query, keys);
            Linear.add(found, Activation.softmax(weights), values);
            System.arraycopy(found, 0, mixed[at], from, part);
        }
    }
}
