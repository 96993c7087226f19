package hitweave.fusion.retriever;

import hitweave.fusion.ranking.Candidate;

import org.apache.lucene.search.Explanation;
import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.search.rank.RankDoc;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** A ranked document that can tell who scored it and what each child said. */
public final class ExplainedDoc extends RankDoc {
    public static final String NAME = "attention_fusion_doc";

    private final String scorer;
    private final Float keyword;
    private final Integer keywordRank;
    private final Float cosine;
    private final Integer cosineRank;

    ExplainedDoc(int doc, float score, int shardIndex, String scorer, Candidate candidate) {
        super(doc, score, shardIndex);
        this.scorer = scorer;
        this.keyword = candidate.keyword();
        this.keywordRank = candidate.keywordRank();
        this.cosine = candidate.cosine();
        this.cosineRank = candidate.cosineRank();
    }

    public ExplainedDoc(StreamInput in) throws IOException {
        super(in);
        scorer = in.readString();
        keyword = in.readOptionalFloat();
        keywordRank = in.readOptionalVInt();
        cosine = in.readOptionalFloat();
        cosineRank = in.readOptionalVInt();
    }

    @Override
    public String getWriteableName() {
        return NAME;
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        out.writeString(scorer);
        out.writeOptionalFloat(keyword);
        out.writeOptionalVInt(keywordRank);
        out.writeOptionalFloat(cosine);
        out.writeOptionalVInt(cosineRank);
    }

    @Override
    public Explanation explain(Explanation[] sources, String[] names) {
        List<Explanation> details = new ArrayList<>();
        if (keyword != null) {
            details.add(Explanation.match(keyword, "bm25, rank " + keywordRank));
        }
        if (cosine != null) {
            details.add(Explanation.match(cosine, "knn (cosine), rank " + cosineRank));
        }
        details.addAll(List.of(sources));
        return Explanation.match(score, "attention_fusion, rank " + rank + ", scored by " + scorer, details);
    }

    @Override
    protected boolean doEquals(RankDoc other) {
        ExplainedDoc that = (ExplainedDoc) other;
        return scorer.equals(that.scorer)
            && Objects.equals(keywordRank, that.keywordRank)
            && Objects.equals(cosineRank, that.cosineRank);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(scorer, keywordRank, cosineRank);
    }
}
