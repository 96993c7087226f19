package hitweave.fusion.retriever;

import hitweave.fusion.ranking.Leg;

import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.util.SetOnce;
import org.elasticsearch.common.document.DocumentField;
import org.elasticsearch.index.query.BoolQueryBuilder;
import org.elasticsearch.index.query.MatchAllQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.search.SearchHit;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.fetch.StoredFieldsContext;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.CompoundRetrieverBuilder;
import org.elasticsearch.xcontent.XContentBuilder;

import java.util.List;

/** Runs the children and keeps what they found; it ranks nothing. */
final class CollectingRetriever extends CompoundRetrieverBuilder<CollectingRetriever> {
    private static final RankDoc[] NOTHING = {};
    private static final String WORDS = "attention_fusion_words";

    private final List<Leg.Kind> kinds;
    private final String idField;
    private final QueryBuilder words;
    private final SetOnce<Collected> result;

    /** {@code words} is what the first keyword child asks; null where there is none. */
    CollectingRetriever(
        List<RetrieverSource> children,
        List<QueryBuilder> filters,
        int window,
        List<Leg.Kind> kinds,
        String idField,
        QueryBuilder words,
        SetOnce<Collected> result
    ) {
        super(children, window);
        this.preFilterQueryBuilders = filters;
        this.kinds = kinds;
        this.idField = idField;
        this.words = words;
        this.result = result;
    }

    @Override
    protected CollectingRetriever clone(List<RetrieverSource> children, List<QueryBuilder> filters) {
        return new CollectingRetriever(children, filters, rankWindowSize, kinds, idField, words, result);
    }

    @Override
    protected SearchSourceBuilder finalizeSourceBuilder(SearchSourceBuilder source) {
        boolean onlyVectors = source.query() == null && source.knnSearch().isEmpty() == false;
        if (words != null && onlyVectors && source.postFilter() == null) {
            // Lets everything through; each hit says how well the words match it.
            var named = new BoolQueryBuilder().must(words).queryName(WORDS);
            source.postFilter(new BoolQueryBuilder().must(new MatchAllQueryBuilder()).should(named));
        }
        if (idField.isEmpty()) {
            return source.storedFields(StoredFieldsContext.fromList(List.of()));
        }
        return source.docValueField(idField);
    }

    @Override
    protected RankDoc createRankDocFromHit(int doc, SearchHit hit, int shardIndex) {
        return new FoundDoc(doc, hit.getScore(), shardIndex, id(hit), hit.getIndex(), hit.getMatchedQueriesAndScores().get(WORDS));
    }

    private String id(SearchHit hit) {
        if (idField.isEmpty()) {
            return hit.getId();
        }
        DocumentField column = hit.field(idField);
        return column == null ? null : String.valueOf(column.<Object>getValue());
    }

    @Override
    protected RankDoc[] combineInnerRetrieverResults(List<ScoreDoc[]> results, boolean explain) {
        result.set(Collected.of(innerRetrievers.stream().map(RetrieverSource::retriever).toList(), kinds, results));
        return NOTHING;
    }

    @Override
    public String getName() {
        return AttentionFusionRetriever.NAME;
    }

    @Override
    protected void doToXContent(XContentBuilder builder, Params params) {
        throw new UnsupportedOperationException("made while a search is rewritten, never written");
    }
}
