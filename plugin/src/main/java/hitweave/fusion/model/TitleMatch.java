package hitweave.fusion.model;

import java.util.Map;

/** How the query's words sit in one title; NaN where it does not apply. */
final class TitleMatch {
    private final int[] title, query;
    private final int count;
    private int first = -1, last = -1, hits;

    TitleMatch(int[] title, int[] query) {
        this.title = title;
        this.query = query;
        int words = 0;
        for (int at = 0; at < title.length; at++) {
            words += title[at] == 0 ? 0 : 1;
            if (isIn(title[at], query)) {
                first = first < 0 ? at : first;
                last = at;
                hits++;
            }
        }
        count = words;
    }

    /** Signals by name; none where title or query have no words. */
    Map<String, Float> signals() {
        if (count == 0 || query.length == 0) {
            return Map.of();
        }
        return Map.of(
            "query_words",
            (float) Math.log1p(query.length),
            "query_covered",
            covered(),
            "title_covered",
            hits / (float) count,
            "phrase",
            isPhrase() ? 1f : 0f,
            "ends_with",
            run(count - 1, query.length - 1, -1),
            "starts_with",
            run(0, 0, 1),
            "words_after",
            hits == 0 ? Float.NaN : (float) Math.log1p(count - 1 - last),
            "words_before",
            hits == 0 ? Float.NaN : (float) Math.log1p(first)
        );
    }

    private float covered() {
        int found = 0;
        for (int word : query) {
            found += isIn(word, title) ? 1 : 0;
        }
        return found / (float) query.length;
    }

    private boolean isPhrase() {
        for (int from = 0; from + query.length <= title.length; from++) {
            int at = 0;
            while (at < query.length && title[from + at] == query[at]) {
                at++;
            }
            if (at == query.length) {
                return true;
            }
        }
        return false;
    }

    /** Share of the query's words that agree from there on, without a gap. */
    private float run(int inTitle, int inQuery, int step) {
        int agreed = 0;
        while (agreed < query.length && inTitle >= 0 && inTitle < title.length && title[inTitle] == query[inQuery]) {
            agreed++;
            inTitle += step;
            inQuery += step;
        }
        return agreed / (float) query.length;
    }

    private static boolean isIn(int word, int[] words) {
        for (int one : words) {
            if (one == word) {
                return true;
            }
        }
        return false;
    }
}
