package hitweave.fusion.model;

import hitweave.fusion.ranking.Candidate;
import hitweave.fusion.wire.RerankAnswer;

import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Scores lists of standard input, a JSON object a line, with the model of a file, so that the sidecar's own scorer
 * can be compared. Prints a line of scores in the list's order, then one of ids in the order that is served.
 */
public final class ScoreLists {
    private ScoreLists() {}

    public static void main(String[] args) throws IOException {
        NodeModel model = NodeModel.open(Path.of(args[0]), Path.of(args[1]));
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> asked = json(line);
            List<Candidate> list = candidates((List<?>) asked.get("candidates"));
            String query = (String) asked.get("query");
            float[] vector = vector((List<?>) asked.get("vector"));
            List<String> scores = new ArrayList<>();
            for (float score : model.score(list, query, vector)) {
                scores.add(Float.toString(score));
            }
            System.out.println(String.join(" ", scores));
            List<RerankAnswer.Item> ranked = model.ranked(list, query, vector, (int) asked.get("window"));
            System.out.println(String.join(" ", ranked.stream().map(RerankAnswer.Item::id).toList()));
        }
    }

    private static List<Candidate> candidates(List<?> given) {
        List<Candidate> found = new ArrayList<>();
        for (Object one : given) {
            Map<?, ?> said = (Map<?, ?>) one;
            Integer keywordRank = (Integer) said.get("bm25_rank"), cosineRank = (Integer) said.get("knn_rank");
            float reciprocal = rank(keywordRank) + rank(cosineRank);
            found.add(
                new Candidate(
                    found.size(),
                    (String) said.get("id"),
                    number(said.get("bm25")),
                    keywordRank,
                    number(said.get("knn")),
                    cosineRank,
                    reciprocal
                )
            );
        }
        return found;
    }

    private static float rank(Integer rank) {
        return rank == null ? 0 : 1f / (60 + rank);
    }

    private static Float number(Object given) {
        return given == null ? null : ((Number) given).floatValue();
    }

    private static float[] vector(List<?> given) {
        if (given == null) {
            return null;
        }
        float[] found = new float[given.size()];
        for (int at = 0; at < found.length; at++) {
            found[at] = number(given.get(at));
        }
        return found;
    }

    private static Map<String, Object> json(String line) throws IOException {
        byte[] content = line.getBytes(StandardCharsets.UTF_8);
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(XContentParserConfiguration.EMPTY, content)) {
            return parser.map();
        }
    }
}
