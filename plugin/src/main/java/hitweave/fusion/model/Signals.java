package hitweave.fusion.model;

import hitweave.fusion.ranking.Candidate;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The signals of a list, in the model's order: what the list tells, what was known of its items, and for all that
 * the node cannot know the value that it has in a list where nobody knows it.
 */
final class Signals {
    private static final int CATALOGUE_POPULARITY = 0, BOUGHT_7D = 1, BOUGHT_30D = 2, BOUGHT_120D = 3;

    private final Items items;
    private final Map<String, Integer> index = new HashMap<>();
    private final Map<String, Integer> ownIndex = new HashMap<>();
    private final int[] own;
    private final float[] low, high, usual, base;

    Signals(ModelFile file, Items items) throws IOException {
        this.items = items;
        low = file.floats("low");
        high = file.floats("high");
        usual = file.floats("default");
        base = file.floats("base");
        for (String name : file.names("signals")) {
            index.put(name, index.size());
        }
        for (String name : file.names("own")) {
            ownIndex.put(name, ownIndex.size());
        }
        own = file.names("own").stream().mapToInt(index::get).toArray();
        if (low.length != index.size() || high.length != index.size() || usual.length != index.size() || base.length != index.size()) {
            throw new BrokenModel("its signals have no ranges: export it again");
        }
    }

    int of(String name) {
        return index.get(name);
    }

    /** Whether the item can be had, as far as is known. */
    boolean available(int row) {
        float known = items.own(row, ownIndex.get("available"));
        return known != 0f; // NaN: not known
    }

    /** Signals [candidates][signals], within their declared ranges; {@code vector} is of length one, or null. */
    float[][] of(List<Candidate> list, int[] rows, int[] query, float[] vector) {
        float[][] signals = new float[list.size()][];
        for (int at = 0; at < rows.length; at++) {
            signals[at] = base.clone();
            for (int column = 0; column < own.length; column++) {
                signals[at][own[column]] = items.own(rows[at], column);
            }
            if (isKnown(rows[at])) {
                title(signals[at], new TitleMatch(items.words(rows[at]), query).signals());
            } else {
                title(signals[at], Map.of());
            }
        }
        relevance(signals, list, cosines(list, rows, vector));
        catalogue(signals, rows);
        popularity(signals, rows);
        put(signals, "candidates", filled(rows.length, (float) Math.log1p(rows.length)));
        fill(signals);
        return signals;
    }

    private void title(float[] signals, Map<String, Float> found) {
        for (String name : new String[] {
            "query_words",
            "query_covered",
            "title_covered",
            "phrase",
            "ends_with",
            "starts_with",
            "words_after",
            "words_before" }) {
            signals[index.get(name)] = found.getOrDefault(name, Float.NaN);
        }
    }

    private void relevance(float[][] signals, List<Candidate> list, float[] cosines) {
        int count = list.size();
        float[] scores = new float[count], shares = new float[count], ranks = new float[count];
        float[] vectorRanks = new float[count], both = new float[count];
        int matches = 0;
        for (int at = 0; at < count; at++) {
            Candidate one = list.get(at);
            scores[at] = one.keyword() == null ? Float.NaN : one.keyword();
            ranks[at] = one.keywordRank() == null ? Float.NaN : (float) Math.log1p(one.keywordRank());
            vectorRanks[at] = one.cosineRank() == null ? Float.NaN : (float) Math.log1p(one.cosineRank());
            both[at] = one.keywordRank() == null || one.cosineRank() == null ? 0f : 1f;
            matches += Float.isFinite(scores[at]) ? 1 : 0;
        }
        float best = InList.best(scores);
        for (int at = 0; at < count; at++) {
            shares[at] = best > 0 ? scores[at] / best : scores[at];
        }
        put(signals, "bm25", scores);
        put(signals, "bm25_share", shares);
        put(signals, "bm25_gap", InList.gap(scores));
        put(signals, "bm25_rank", ranks);
        put(signals, "knn", cosines);
        put(signals, "knn_share", InList.standard(cosines));
        put(signals, "knn_rank", vectorRanks);
        put(signals, "both_legs", both);
        put(signals, "matches", filled(count, (float) Math.log1p(matches)));
    }

    /** From the item's own vector where both are there, else what the vector child said. */
    private float[] cosines(List<Candidate> list, int[] rows, float[] vector) {
        float[] cosines = new float[rows.length];
        for (int at = 0; at < rows.length; at++) {
            Float said = list.get(at).cosine();
            boolean own = vector != null && isKnown(rows[at]);
            cosines[at] = own ? items.cosine(rows[at], vector) : said == null ? Float.NaN : said;
        }
        return cosines;
    }

    private void catalogue(float[][] signals, int[] rows) {
        float[] prices = new float[rows.length], against = new float[rows.length];
        for (int at = 0; at < rows.length; at++) {
            prices[at] = items.own(rows[at], ownIndex.get("price"));
        }
        float middle = InList.median(prices);
        float[] places = InList.place(prices);
        for (int at = 0; at < rows.length; at++) {
            against[at] = prices[at] - middle;
            places[at] = Float.isFinite(prices[at]) ? places[at] : Float.NaN;
        }
        put(signals, "price_to_list", against);
        put(signals, "price_place", places);
        put(signals, "catalogue_popularity_place", InList.place(ranked(rows, CATALOGUE_POPULARITY)));
    }

    private void popularity(float[][] signals, int[] rows) {
        put(signals, "purchases_7d_place", InList.place(ranked(rows, BOUGHT_7D)));
        put(signals, "purchases_30d_place", InList.place(ranked(rows, BOUGHT_30D)));
        put(signals, "purchases_120d_place", InList.place(ranked(rows, BOUGHT_120D)));
        put(signals, "purchases_30d_share", InList.share(ranked(rows, BOUGHT_30D)));
        put(signals, "purchases_120d_share", InList.share(ranked(rows, BOUGHT_120D)));
    }

    private float[] ranked(int[] rows, int column) {
        float[] values = new float[rows.length];
        for (int at = 0; at < rows.length; at++) {
            values[at] = items.ranked(rows[at], column);
        }
        return values;
    }

    private boolean isKnown(int row) {
        return items.own(row, ownIndex.get("card")) == 1f;
    }

    private void put(float[][] signals, String name, float[] values) {
        int column = index.get(name);
        for (int at = 0; at < values.length; at++) {
            signals[at][column] = values[at];
        }
    }

    private static float[] filled(int count, float value) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return values;
    }

    private void fill(float[][] signals) {
        for (float[] row : signals) {
            for (int column = 0; column < row.length; column++) {
                float value = Float.isFinite(row[column]) ? row[column] : usual[column];
                row[column] = Math.min(Math.max(value, low[column]), high[column]);
            }
        }
    }
}
