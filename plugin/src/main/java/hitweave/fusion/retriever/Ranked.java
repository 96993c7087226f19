package hitweave.fusion.retriever;

import hitweave.fusion.ranking.Candidate;
import hitweave.fusion.ranking.Candidates;
import hitweave.fusion.ranking.FallingScores;
import hitweave.fusion.sidecar.Outcome;
import hitweave.fusion.wire.RerankAnswer;

import org.elasticsearch.search.rank.RankDoc;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The window's documents in their final order: the sidecar's, else by reciprocal ranks. */
final class Ranked {
    private Ranked() {}

    static RankDoc[] of(List<Candidate> candidates, Outcome outcome, int window, boolean explain) {
        RerankAnswer answer = outcome.answer();
        if (answer == null) {
            List<Candidate> order = Candidates.byReciprocalRank(candidates);
            float[] scores = new float[order.size()];
            for (int row = 0; row < scores.length; row++) {
                scores[row] = order.get(row).reciprocal();
            }
            return documents(order, scores, window, explain ? "rrf (" + outcome.reason() + ")" : null);
        }
        Map<String, Candidate> byId = new HashMap<>();
        candidates.forEach(one -> byId.put(one.id(), one));
        List<Candidate> order = answer.items().stream().map(item -> byId.get(item.id())).toList();
        float[] scores = new float[order.size()];
        for (int row = 0; row < scores.length; row++) {
            scores[row] = answer.items().get(row).score();
        }
        String model = answer.model() == null ? "the untrained prior" : answer.model();
        return documents(order, scores, window, explain ? model : null);
    }

    private static RankDoc[] documents(List<Candidate> order, float[] scores, int window, String scorer) {
        float[] falling = FallingScores.of(scores);
        RankDoc[] documents = new RankDoc[Math.min(window, order.size())];
        for (int row = 0; row < documents.length; row++) {
            documents[row] = document(order.get(row), falling[row], scorer);
            documents[row].rank = row + 1;
        }
        return documents;
    }

    private static RankDoc document(Candidate one, float score, String scorer) {
        int doc = (int) one.place(), shard = (int) (one.place() >> 32);
        return scorer == null ? new RankDoc(doc, score, shard) : new ExplainedDoc(doc, score, shard, scorer, one);
    }
}
