package hitweave.fusion.model;

import hitweave.fusion.ranking.Candidate;
import hitweave.fusion.wire.RerankAnswer;

import org.apache.lucene.util.VectorUtil;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A model inside the node: prior, network and trees for a shopper of whom nothing is known, over what was known of
 * the items when the file was written. It changes nothing and may be asked from many threads.
 */
public final class NodeModel {
    private static final String GENERATION = "-\\d{6}";
    private static final int TRIED_LENGTH = 100, TRIED_TIMES = 30;

    private final String version, concrete;
    private final Pattern generation;
    private final int dims;
    private final Items items;
    private final Signals signals;
    private final float[] held, prior;
    private final List<Network> networks = new ArrayList<>();
    private final Trees trees; // null where the model has none

    private NodeModel(ModelFile file) throws IOException {
        version = file.text("version");
        concrete = file.text("concrete");
        generation = Pattern.compile(Pattern.quote(file.text("index")) + "(" + GENERATION + ")?");
        dims = file.number("dims");
        items = new Items(file);
        signals = new Signals(file, items);
        held = file.floats("held");
        prior = file.floats("prior");
        for (int member = 0; member < file.number("members"); member++) {
            networks.add(new Network(file, member));
        }
        trees = Trees.in(file) ? new Trees(file) : null;
        tryOut();
    }

    /** Reads a file; {@code temporary} is a folder for a copy of it. Raises BrokenModel. */
    public static NodeModel open(Path path, Path temporary) throws IOException {
        return ModelFile.open(path, temporary, NodeModel::new);
    }

    /** Parts that do not fit fail now, and the first search does not wait for the JVM to compile. */
    private void tryOut() {
        List<Candidate> list = Collections.nCopies(TRIED_LENGTH, new Candidate(0, "", 1f, 1, 1f, 1, 1f));
        float[] vector = new float[dims];
        Arrays.fill(vector, 1f);
        for (int time = 0; time < TRIED_TIMES; time++) {
            score(list, "a b", vector);
        }
    }

    public String version() {
        return version;
    }

    public int items() {
        return items.count();
    }

    /** Dimensions of the vectors that it was made for. */
    public int dims() {
        return dims;
    }

    /** Whether hits of that concrete index are the model's. */
    public boolean knows(String index) {
        return index != null && (index.equals(concrete) || generation.matcher(index).matches());
    }

    /**
     * All candidates in their new order with scores that never rise: the first {@code window} by reciprocal ranks as
     * the model puts them, the others below; what cannot be had comes last.
     */
    public List<RerankAnswer.Item> ranked(List<Candidate> candidates, String query, float[] vector, int window) {
        List<Candidate> both = new ArrayList<>(candidates);
        both.sort(Comparator.comparing(Candidate::byRanks, Comparator.reverseOrder()));
        Set<Candidate> first = new HashSet<>(both.subList(0, Math.min(window, both.size())));
        List<Candidate> seen = candidates.stream().filter(first::contains).toList();
        float[] scores = score(seen, query, vector);
        List<Scored> scored = new ArrayList<>();
        float least = Float.MAX_VALUE;
        for (int at = 0; at < scores.length; at++) {
            scored.add(new Scored(seen.get(at), scores[at]));
            least = Math.min(least, scores[at]);
        }
        for (Candidate one : candidates) {
            if (first.contains(one) == false) {
                scored.add(new Scored(one, one.byRanks() - 1 + least)); // a sum of reciprocal ranks is below 1
            }
        }
        scored.sort(Comparator.comparing((Scored one) -> available(one) == false).thenComparing(one -> -one.score));
        List<RerankAnswer.Item> answer = new ArrayList<>();
        float last = Float.MAX_VALUE;
        for (Scored one : scored) {
            last = Math.min(last, one.score);
            answer.add(new RerankAnswer.Item(one.candidate.id(), last));
        }
        return answer;
    }

    private record Scored(Candidate candidate, float score) {}

    private boolean available(Scored one) {
        return signals.available(items.row(one.candidate.id()));
    }

    /** Prior and residual of each candidate, in their order; {@code vector} is the query's, null where there is none. */
    public float[] score(List<Candidate> candidates, String query, float[] vector) {
        float[] unit = unit(vector);
        int[] rows = candidates.stream().mapToInt(one -> items.row(one.id())).toArray();
        float[][] found = signals.of(candidates, rows, QueryWords.of(query), unit);
        float[] scores = new float[rows.length];
        for (int at = 0; at < rows.length; at++) {
            scores[at] = prior(found[at]);
            for (int column = 0; column < held.length; column++) {
                found[at][column] = Float.isFinite(held[column]) ? held[column] : found[at][column];
            }
        }
        for (Network network : networks) {
            float[] residuals = network.residuals(found, rows, items, unit == null ? new float[dims] : unit);
            for (int at = 0; at < rows.length; at++) {
                scores[at] += residuals[at] / networks.size();
            }
        }
        for (int at = 0; trees != null && at < rows.length; at++) {
            scores[at] += trees.of(found[at]);
        }
        return scores;
    }

    private float prior(float[] of) {
        return prior[0] * of[signals.of("bm25_share")] + prior[1] * of[signals.of("knn")] + prior[2] * of[signals.of("query_covered")];
    }

    /** The vector at length one; null where it is of another space or has no direction. */
    private float[] unit(float[] vector) {
        float square = vector == null || vector.length != dims ? 0f : VectorUtil.dotProduct(vector, vector);
        if (square <= 0f || Float.isFinite(square) == false) {
            return null;
        }
        float[] unit = vector.clone();
        for (int at = 0; at < dims; at++) {
            unit[at] /= (float) Math.sqrt(square);
        }
        return unit;
    }
}
