package hitweave.fusion.model;

import org.apache.lucene.util.VectorUtil;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The attention fusion network for a shopper without a history, as `FusionNetwork` of the training.
 *
 * Without a history every item looks at nobody in particular, so the shopper's token is that one vector.
 */
final class Network {
    private static final int BEFORE_FAMILIES = 3;

    private final int member;
    private final float[] mean, scale, nobody, tokenWeight, tokenBias, normWeight, normBias, head, direct;
    private final float headBias;
    private final float[][] kinds;
    private final Linear query, gateIn, gateOut, value, wideIn, wideOut;
    private final List<Linear> families = new ArrayList<>();
    private final List<List<Integer>> columns;
    private final List<ListBlock> blocks = new ArrayList<>();

    Network(ModelFile file, int member) throws IOException {
        this.member = member;
        String of = member + "/";
        mean = file.floats(of + "signal_mean");
        scale = file.floats(of + "signal_scale");
        nobody = file.floats(of + "nobody");
        tokenWeight = file.floats(of + "token_norm.weight");
        tokenBias = file.floats(of + "token_norm.bias");
        kinds = file.rows(of + "token_kind");
        normWeight = file.floats(of + "norm.weight");
        normBias = file.floats(of + "norm.bias");
        head = file.floats(of + "head.weight");
        headBias = file.floats(of + "head.bias")[0];
        direct = file.floats(of + "direct.weight");
        query = new Linear(file, of + "query");
        gateIn = new Linear(file, of + "token_gate.0");
        gateOut = new Linear(file, of + "token_gate.2");
        value = new Linear(file, of + "token_value");
        wideIn = new Linear(file, of + "wide.0");
        wideOut = new Linear(file, of + "wide.2");
        columns = file.columns("families");
        for (int family = 0; family < columns.size(); family++) {
            families.add(new Linear(file, of + "family." + family));
        }
        for (int block = 0; file.has(of + "blocks." + block + ".qkv.weight"); block++) {
            blocks.add(new ListBlock(file, of + "blocks." + block, file.number("attention_heads")));
        }
    }

    /** Residual of each candidate; {@code shown} are its signals, {@code rows} its items. */
    float[] residuals(float[][] shown, int[] rows, Items items, float[] vector) {
        float[][] scaled = new float[shown.length][];
        float[][] states = new float[shown.length][];
        float[] asked = query.of(vector);
        for (int at = 0; at < shown.length; at++) {
            scaled[at] = scaled(shown[at]);
            float[] item = items.token(rows[at], member, nobody.length);
            states[at] = Activation.add(fused(asked, item, scaled[at]), wideOut.of(Activation.gelu(wideIn.of(scaled[at]))));
        }
        for (ListBlock block : blocks) {
            block.apply(states);
        }
        float[] residuals = new float[shown.length];
        for (int at = 0; at < shown.length; at++) {
            float[] state = Activation.normal(states[at], normWeight, normBias);
            residuals[at] = VectorUtil.dotProduct(head, state) + headBias + VectorUtil.dotProduct(direct, scaled[at]);
        }
        return residuals;
    }

    private float[] scaled(float[] signals) {
        float[] scaled = new float[signals.length];
        for (int at = 0; at < scaled.length; at++) {
            scaled[at] = (signals[at] - mean[at]) / scale[at];
        }
        return scaled;
    }

    /** The tokens of one candidate, each by how much it counts. */
    private float[] fused(float[] asked, float[] item, float[] scaled) {
        float[][] tokens = new float[kinds.length][];
        tokens[0] = asked.clone();
        tokens[1] = item;
        tokens[2] = nobody.clone();
        for (int family = 0; family < families.size(); family++) {
            List<Integer> own = columns.get(family);
            float[] signals = new float[own.size()];
            for (int at = 0; at < signals.length; at++) {
                signals[at] = scaled[own.get(at)];
            }
            tokens[BEFORE_FAMILIES + family] = families.get(family).of(signals);
        }
        float[] weights = new float[tokens.length];
        for (int token = 0; token < tokens.length; token++) {
            tokens[token] = Activation.normal(Activation.add(tokens[token], kinds[token]), tokenWeight, tokenBias);
            weights[token] = gateOut.of(Activation.tanh(gateIn.of(tokens[token])))[0];
        }
        Activation.softmax(weights);
        float[] sum = new float[nobody.length];
        Linear.add(sum, weights, tokens);
        return value.of(sum);
    }
}
