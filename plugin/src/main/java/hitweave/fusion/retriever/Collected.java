package hitweave.fusion.retriever;

import hitweave.fusion.ranking.Candidate;
import hitweave.fusion.ranking.Candidates;
import hitweave.fusion.ranking.EncodedVector;
import hitweave.fusion.ranking.Found;
import hitweave.fusion.ranking.Leg;

import org.apache.lucene.search.ScoreDoc;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.retriever.KnnRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.search.vectors.VectorData;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** What the children found, and the children as they were when they searched. */
record Collected(List<RetrieverBuilder> children, List<Candidate> candidates, Set<String> indices) {
    static Collected of(List<RetrieverBuilder> children, List<Leg.Kind> kinds, List<ScoreDoc[]> results) {
        List<Leg> legs = new ArrayList<>();
        Set<String> indices = new HashSet<>();
        for (int child = 0; child < results.size(); child++) {
            List<Found> found = new ArrayList<>();
            for (ScoreDoc one : results.get(child)) {
                FoundDoc doc = (FoundDoc) one;
                found.add(new Found(doc.place(), doc.id, doc.score, doc.keyword));
                indices.add(doc.index);
            }
            legs.add(new Leg(kinds.get(child), found));
        }
        return new Collected(children, Candidates.merge(legs), indices);
    }

    /** Whether a document has no id, as those have that somebody else wrote without that column. */
    boolean lacksIds() {
        return candidates.stream().anyMatch(one -> one.id() == null);
    }

    /** What the first vector child looks for, in a space of {@code dims}; null where there is none or it is of another. */
    float[] queryVector(int dims) {
        for (RetrieverBuilder child : children) {
            if (child instanceof KnnRetrieverBuilder vectors) {
                SearchSourceBuilder shown = new SearchSourceBuilder();
                vectors.extractToSearchSourceBuilder(shown, true);
                VectorData sent = shown.knnSearch().get(0).getQueryVector();
                try {
                    return sent.asFloatVector();
                } catch (IllegalStateException text) {
                    return EncodedVector.read(sent.toString(), dims);
                }
            }
        }
        return null;
    }

    /** The only index; null where hits come from several: the sidecar then takes its only one. */
    String index() {
        return indices.size() == 1 ? indices.iterator().next() : null;
    }
}
