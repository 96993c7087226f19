package hitweave.fusion.retriever;

import hitweave.fusion.ranking.Candidates;
import hitweave.fusion.scoring.Scorers;
import hitweave.fusion.sidecar.Outcome;
import hitweave.fusion.wire.RerankRequest;

import org.apache.lucene.util.SetOnce;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.common.logging.HeaderWarning;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.search.SearchService;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.RankDocsRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.xcontent.XContentBuilder;

import java.io.IOException;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * Waits for the children, asks the scorers, and becomes the list of ranked documents.
 *
 * Not compound: a parent would add its filters to a compound child in each round of rewriting.
 */
final class ScoringStage extends RetrieverBuilder {
    private final RetrieverBuilder collector;
    private final SetOnce<Collected> collected;
    private final Wish wish;
    private final Scorers scorers;
    private final int window;
    private final Supplier<ScoringStage> byId;

    /** {@code byId} makes the stage that reads _id, for documents without the column of ids; or null. */
    ScoringStage(
        RetrieverBuilder collector,
        SetOnce<Collected> collected,
        Wish wish,
        Scorers scorers,
        int window,
        Supplier<ScoringStage> byId
    ) {
        this.byId = byId;
        this.collector = collector;
        this.collected = collected;
        this.wish = wish;
        this.scorers = scorers;
        this.window = window;
    }

    /** Takes name and lowest score of the retriever that was asked for. */
    ScoringStage named(RetrieverBuilder asked) {
        retrieverName = asked.retrieverName();
        minScore = asked.minScore();
        return this;
    }

    @Override
    public RetrieverBuilder rewrite(QueryRewriteContext context) throws IOException {
        if (collected.get() == null) {
            RetrieverBuilder next = collector.rewrite(context);
            return next == collector ? this : new ScoringStage(next, collected, wish, scorers, window, byId).named(this);
        }
        if (byId != null && collected.get().lacksIds()) {
            return byId.get().named(this);
        }
        SetOnce<RankDoc[]> ranked = new SetOnce<>();
        boolean explain = context.isExplain();
        context.registerAsyncAction((client, listener) -> ask(listener.delegateFailureAndWrap((rest, outcome) -> {
            ranked.set(ranked(outcome, explain));
            rest.onResponse(null);
        })));
        return new Documents(window, collected.get().children(), ranked::get, minScore).retrieverName(retrieverName);
    }

    /** A page without a size has ten hits, as everywhere, not the whole window. */
    private static final class Documents extends RankDocsRetrieverBuilder {
        private Documents(int window, List<RetrieverBuilder> children, Supplier<RankDoc[]> ranked, Float minScore) {
            super(window, children, ranked, minScore);
        }

        @Override
        public void extractToSearchSourceBuilder(SearchSourceBuilder source, boolean compoundUsed) {
            if (source.size() < 0) {
                source.size(SearchService.DEFAULT_SIZE);
            }
            super.extractToSearchSourceBuilder(source, compoundUsed);
        }
    }

    private void ask(ActionListener<Outcome> listener) {
        Collected found = collected.get();
        if (found.candidates().isEmpty()) {
            listener.onResponse(Outcome.failed(null));
        } else if (wish.query() == null) {
            listener.onResponse(Outcome.failed("no_query_text"));
        } else if (Candidates.distinct(found.candidates()) == false) {
            listener.onResponse(Outcome.failed("ids_missing_or_not_distinct"));
        } else {
            scorers.ask(request(found), found::queryVector, listener);
        }
    }

    private RerankRequest request(Collected found) {
        return new RerankRequest(
            found.index(),
            wish.query(),
            wish.userId(),
            wish.sessionId(),
            wish.queryId(),
            wish.context(),
            wish.diversity(),
            window,
            found.candidates()
        );
    }

    private RankDoc[] ranked(Outcome outcome, boolean explain) {
        String reason = outcome.answer() == null ? outcome.reason() : outcome.answer().degraded();
        if (reason != null) {
            HeaderWarning.addWarning("attention_fusion is degraded: {}", reason);
        }
        return Ranked.of(collected.get().candidates(), outcome, window, explain);
    }

    @Override
    public QueryBuilder topDocsQuery() {
        throw new IllegalStateException("not rewritten");
    }

    @Override
    public void extractToSearchSourceBuilder(SearchSourceBuilder source, boolean compoundUsed) {
        throw new IllegalStateException("not rewritten");
    }

    @Override
    public String getName() {
        return AttentionFusionRetriever.NAME;
    }

    @Override
    protected void doToXContent(XContentBuilder builder, Params params) {
        throw new UnsupportedOperationException("made while a search is rewritten, never written");
    }

    @Override
    protected boolean doEquals(Object other) {
        return ((ScoringStage) other).collector.equals(collector);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(collector);
    }
}
