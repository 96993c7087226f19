package hitweave.fusion.retriever;

import org.elasticsearch.index.query.BoolQueryBuilder;
import org.elasticsearch.index.query.DisMaxQueryBuilder;
import org.elasticsearch.index.query.MatchPhraseQueryBuilder;
import org.elasticsearch.index.query.MatchQueryBuilder;
import org.elasticsearch.index.query.MultiMatchQueryBuilder;
import org.elasticsearch.index.query.QueryBuilder;
import org.elasticsearch.index.query.QueryStringQueryBuilder;
import org.elasticsearch.index.query.SimpleQueryStringBuilder;

import java.util.LinkedHashSet;
import java.util.Set;

/** The words that a query asks, where they score; what stands in a filter is none. */
final class QueryText {
    private QueryText() {}

    /** Distinct texts, joined; null where there is none. */
    static String of(QueryBuilder query) {
        Set<String> texts = new LinkedHashSet<>();
        collect(query, texts);
        return texts.isEmpty() ? null : String.join(" ", texts);
    }

    private static void collect(QueryBuilder query, Set<String> texts) {
        if (query instanceof MatchQueryBuilder match) {
            texts.add(String.valueOf(match.value()));
        } else if (query instanceof MatchPhraseQueryBuilder phrase) {
            texts.add(String.valueOf(phrase.value()));
        } else if (query instanceof MultiMatchQueryBuilder many) {
            texts.add(String.valueOf(many.value()));
        } else if (query instanceof QueryStringQueryBuilder syntax) {
            texts.add(syntax.queryString());
        } else if (query instanceof SimpleQueryStringBuilder syntax) {
            texts.add(syntax.value());
        } else if (query instanceof BoolQueryBuilder bool) {
            bool.must().forEach(part -> collect(part, texts));
            bool.should().forEach(part -> collect(part, texts));
        } else if (query instanceof DisMaxQueryBuilder best) {
            best.innerQueries().forEach(part -> collect(part, texts));
        }
    }
}
