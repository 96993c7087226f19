package hitweave.fusion.retriever;

import org.elasticsearch.search.SearchExtBuilder;

import java.util.List;
import java.util.Map;

/** Who asks what, as far as a request says it; null where it does not. */
record Wish(String query, String userId, String sessionId, String queryId, Map<String, Object> context, Double diversity) {
    /** What the retriever itself leaves open, taken from the body's {@code ext}. */
    Wish completedBy(List<SearchExtBuilder> sections) {
        Wish whole = this;
        for (SearchExtBuilder one : sections) {
            if (one instanceof Section section) {
                whole = Section.UBI.equals(section.getWriteableName()) ? whole.withUbi(section) : whole.withContext(section);
            }
        }
        return whole;
    }

    /** The same, asking {@code text} where no words are named. */
    Wish orAsking(String text) {
        return new Wish(or(query, text), userId, sessionId, queryId, context, diversity);
    }

    private Wish withUbi(Section ubi) {
        return new Wish(
            or(query, ubi.text("user_query")),
            or(userId, ubi.text("user_id")),
            or(sessionId, ubi.text("session_id")),
            or(queryId, ubi.text("query_id")),
            context,
            diversity
        );
    }

    private Wish withContext(Section hitweave) {
        return new Wish(
            query,
            userId,
            sessionId,
            queryId,
            context == null ? hitweave.context() : context,
            diversity == null ? hitweave.number("diversity") : diversity
        );
    }

    private static String or(String first, String second) {
        return first == null || first.isEmpty() ? second : first;
    }
}
