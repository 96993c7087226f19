package hitweave.fusion.wire;

import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A checked answer of POST /rerank: every candidate once, scores finite and never rising. Merchandising rules may
 * have taken candidates out; then the answer names the rules.
 */
public record RerankAnswer(String model, String degraded, List<Item> items) {
    /** One candidate with its new score. */
    public record Item(String id, float score) {}

    /** The answer is not what was asked for. */
    public static final class Wrong extends Exception {
        private Wrong(String message) {
            super(message);
        }
    }

    /** Decodes and checks; {@code asked} are the ids that were sent. */
    public static RerankAnswer decode(byte[] body, Set<String> asked) throws Wrong {
        Map<String, Object> answer;
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(XContentParserConfiguration.EMPTY, body)) {
            answer = parser.map();
        } catch (IOException | RuntimeException error) {
            throw new Wrong("not JSON");
        }
        List<Item> items = items(answer.get("items"));
        Set<String> ids = new HashSet<>();
        items.forEach(item -> ids.add(item.id()));
        boolean ruled = answer.get("rules") instanceof List<?> rules && rules.isEmpty() == false;
        boolean complete = ruled ? asked.containsAll(ids) : ids.equals(asked);
        if (items.size() != ids.size() || complete == false) {
            throw new Wrong("other items than asked for");
        }
        return new RerankAnswer(text(answer.get("model")), text(answer.get("degraded")), items);
    }

    private static List<Item> items(Object given) throws Wrong {
        if (given instanceof List<?> == false) {
            throw new Wrong("no items");
        }
        List<Item> items = new ArrayList<>();
        float last = Float.POSITIVE_INFINITY;
        for (Object one : (List<?>) given) {
            Item item = item(one);
            if (Float.isFinite(item.score()) == false || item.score() > last) {
                throw new Wrong("scores that are not finite or rise");
            }
            last = item.score();
            items.add(item);
        }
        return items;
    }

    private static Item item(Object given) throws Wrong {
        if (given instanceof Map<?, ?> map && map.get("id") instanceof String id && map.get("score") instanceof Number score) {
            return new Item(id, score.floatValue());
        }
        throw new Wrong("an item without id and score");
    }

    private static String text(Object value) {
        return value == null ? null : value.toString();
    }
}
