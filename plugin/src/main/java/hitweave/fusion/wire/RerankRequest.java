package hitweave.fusion.wire;

import hitweave.fusion.ranking.Candidate;

import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.json.JsonXContent;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/** The body of POST /rerank; what is null is left out. */
public record RerankRequest(
    String index,
    String query,
    String userId,
    String sessionId,
    String queryId,
    Map<String, Object> context,
    Double diversity,
    int window,
    List<Candidate> candidates
) {
    /** JSON in UTF-8. */
    public byte[] encode() throws IOException {
        try (XContentBuilder json = JsonXContent.contentBuilder()) {
            json.startObject();
            optional(json, "index", index);
            json.field("query", query);
            optional(json, "user_id", userId);
            optional(json, "session_id", sessionId);
            optional(json, "query_id", queryId);
            optional(json, "context", context);
            optional(json, "diversity", diversity);
            json.field("rank_window_size", window);
            json.startArray("candidates");
            for (Candidate one : candidates) {
                candidate(json, one);
            }
            json.endArray().endObject();
            return BytesReference.toBytes(BytesReference.bytes(json));
        }
    }

    private static void candidate(XContentBuilder json, Candidate one) throws IOException {
        json.startObject().field("id", one.id());
        optional(json, "bm25", one.keyword());
        optional(json, "bm25_rank", one.keywordRank());
        optional(json, "knn", one.cosine());
        optional(json, "knn_rank", one.cosineRank());
        json.endObject();
    }

    private static void optional(XContentBuilder json, String name, Object value) throws IOException {
        if (value != null) {
            json.field(name, value);
        }
    }
}
