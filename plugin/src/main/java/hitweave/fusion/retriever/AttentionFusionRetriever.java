package hitweave.fusion.retriever;

import hitweave.fusion.ranking.Leg;
import hitweave.fusion.scoring.Scorers;

import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.util.SetOnce;
import org.elasticsearch.action.ActionRequestValidationException;
import org.elasticsearch.index.query.BoolQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryRewriteContext;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.search.retriever.CompoundRetrieverBuilder;
import org.elasticsearch.search.retriever.KnnRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverParserContext;
import org.elasticsearch.search.retriever.StandardRetrieverBuilder;
import org.elasticsearch.xcontent.ConstructingObjectParser;
import org.elasticsearch.xcontent.ParseField;
import org.elasticsearch.xcontent.XContentBuilder;
import org.elasticsearch.xcontent.XContentParser;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;

import static org.elasticsearch.xcontent.ConstructingObjectParser.constructorArg;
import static org.elasticsearch.xcontent.ConstructingObjectParser.optionalConstructorArg;

/** The retriever as a request names it: it becomes a scoring stage around its children. */
public final class AttentionFusionRetriever extends CompoundRetrieverBuilder<AttentionFusionRetriever> {
    public static final String NAME = "attention_fusion";
    private static final int WINDOW = 100;

    private final Wish asked;
    private final Supplier<Scorers> scorers;
    private Wish wish;

    private AttentionFusionRetriever(List<RetrieverSource> children, int window, Wish asked, Supplier<Scorers> scorers) {
        super(children, window);
        this.asked = asked;
        this.wish = asked;
        this.scorers = scorers;
    }

    /** Reads the JSON of one retriever. */
    public static AttentionFusionRetriever parse(XContentParser parser, RetrieverParserContext context, Supplier<Scorers> scorers)
        throws IOException {
        return parser(scorers).apply(parser, context);
    }

    @SuppressWarnings("unchecked")
    private static ConstructingObjectParser<AttentionFusionRetriever, RetrieverParserContext> parser(Supplier<Scorers> scorers) {
        var parser = new ConstructingObjectParser<AttentionFusionRetriever, RetrieverParserContext>(NAME, false, args -> {
            List<RetrieverSource> children = ((List<RetrieverBuilder>) args[0]).stream().map(RetrieverSource::from).toList();
            var context = (Map<String, Object>) args[5];
            Wish wish = new Wish((String) args[2], (String) args[3], (String) args[4], null, context, (Double) args[6]);
            int window = args[1] == null ? WINDOW : (int) args[1];
            return new AttentionFusionRetriever(new ArrayList<>(children), window, wish, scorers);
        });
        parser.declareObjectArray(constructorArg(), (p, c) -> parseInnerRetrieverBuilder(p, c), new ParseField("retrievers"));
        parser.declareInt(optionalConstructorArg(), RANK_WINDOW_SIZE_FIELD);
        parser.declareString(optionalConstructorArg(), new ParseField("query"));
        parser.declareString(optionalConstructorArg(), new ParseField("user_id"));
        parser.declareString(optionalConstructorArg(), new ParseField("session_id"));
        parser.declareObject(optionalConstructorArg(), (p, c) -> p.map(), new ParseField("context"));
        parser.declareDouble(optionalConstructorArg(), new ParseField("diversity"));
        RetrieverBuilder.declareBaseParserFields(parser);
        return parser;
    }

    @Override
    public ActionRequestValidationException validate(
        SearchSourceBuilder source,
        ActionRequestValidationException errors,
        boolean isScroll,
        boolean allowPartialSearchResults
    ) {
        // The only moment at which a retriever is shown the body that it stands in.
        wish = asked.completedBy(source.ext());
        return super.validate(source, errors, isScroll, allowPartialSearchResults);
    }

    @Override
    protected RetrieverBuilder doRewrite(QueryRewriteContext context) {
        String column = scorers.get().idField();
        return stage(column, column.isEmpty() ? null : () -> stage("", null)).named(this);
    }

    private ScoringStage stage(String idField, Supplier<ScoringStage> byId) {
        SetOnce<Collected> collected = new SetOnce<>();
        List<Leg.Kind> kinds = innerRetrievers.stream().map(one -> kind(one.retriever())).toList();
        List<QueryBuilder> filters = preFilterQueryBuilders;
        var collector = new CollectingRetriever(innerRetrievers, filters, rankWindowSize, kinds, idField, asking(), collected);
        return new ScoringStage(collector, collected, wish.orAsking(words()), scorers.get(), rankWindowSize, byId);
    }

    private static Leg.Kind kind(RetrieverBuilder child) {
        return child instanceof KnnRetrieverBuilder ? Leg.Kind.VECTOR : Leg.Kind.KEYWORD;
    }

    /** What the first standard child asks in words. */
    private String words() {
        return innerRetrievers.stream()
            .map(RetrieverSource::retriever)
            .filter(StandardRetrieverBuilder.class::isInstance)
            .map(child -> QueryText.of(queryOf((StandardRetrieverBuilder) child)))
            .filter(Objects::nonNull)
            .findFirst()
            .orElse(null);
    }

    /** What the first keyword child asks; null where that is no plain query. */
    private QueryBuilder asking() {
        return innerRetrievers.stream()
            .map(RetrieverSource::retriever)
            .filter(child -> kind(child) == Leg.Kind.KEYWORD)
            .findFirst()
            .filter(StandardRetrieverBuilder.class::isInstance)
            .map(child -> queryOf((StandardRetrieverBuilder) child))
            .orElse(null);
    }

    /** A standard child with filters shows its query as the first clause of one filter. */
    private static QueryBuilder queryOf(StandardRetrieverBuilder child) {
        QueryBuilder shown = child.topDocsQuery();
        boolean filtered = child.getPreFilterQueryBuilders().isEmpty() == false;
        return filtered && shown instanceof BoolQueryBuilder both ? both.filter().get(0) : shown;
    }

    @Override
    protected AttentionFusionRetriever clone(List<RetrieverSource> children, List<QueryBuilder> filters) {
        var copy = new AttentionFusionRetriever(children, rankWindowSize, asked, scorers);
        copy.wish = wish;
        copy.preFilterQueryBuilders = filters;
        copy.retrieverName = retrieverName;
        copy.minScore = minScore;
        return copy;
    }

    @Override
    protected RankDoc[] combineInnerRetrieverResults(List<ScoreDoc[]> results, boolean explain) {
        throw new IllegalStateException("replaced while rewritten");
    }

    @Override
    public String getName() {
        return NAME;
    }

    @Override
    protected void doToXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startArray("retrievers");
        for (RetrieverSource child : innerRetrievers) {
            child.retriever().toXContent(builder, params);
        }
        builder.endArray().field(RANK_WINDOW_SIZE_FIELD.getPreferredName(), rankWindowSize);
        optional(builder, "query", asked.query());
        optional(builder, "user_id", asked.userId());
        optional(builder, "session_id", asked.sessionId());
        optional(builder, "context", asked.context());
        optional(builder, "diversity", asked.diversity());
    }

    private static void optional(XContentBuilder builder, String name, Object value) throws IOException {
        if (value != null) {
            builder.field(name, value);
        }
    }

    @Override
    public boolean doEquals(Object other) {
        return super.doEquals(other) && asked.equals(((AttentionFusionRetriever) other).asked);
    }

    @Override
    public int doHashCode() {
        return Objects.hash(super.doHashCode(), asked);
    }
}
