package hitweave.fusion.retriever;

import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.search.SearchRequest;
import org.elasticsearch.action.search.SearchType;
import org.elasticsearch.action.search.TransportSearchAction;
import org.elasticsearch.action.support.ActionFilterChain;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.action.support.MappedActionFilter;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.search.retriever.CompoundRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.tasks.Task;

import java.util.function.Supplier;

/**
 * Hands a request's search type on to all searches of its retrievers, which Elasticsearch does not: with
 * dfs_query_then_fetch all shards score words by the same statistics, whichever retriever stands in or around ours.
 *
 * A compound retriever searches through the node's own client, in the thread context of the request. So the request
 * leaves its type there, where each of these searches finds it; other nodes and later requests never see it.
 */
public final class SearchTypes implements MappedActionFilter {
    private static final String OVER_ALL_SHARDS = "hitweave_counts_over_all_shards";

    private final Supplier<ThreadContext> context;

    public SearchTypes(Supplier<ThreadContext> context) {
        this.context = context;
    }

    @Override
    public String actionName() {
        return TransportSearchAction.NAME;
    }

    @Override
    public <Request extends ActionRequest, Response extends ActionResponse> void apply(
        Task task,
        String action,
        Request request,
        ActionListener<Response> listener,
        ActionFilterChain<Request, Response> chain
    ) {
        SearchRequest search = (SearchRequest) request;
        ThreadContext own = context.get();
        if (own.getTransient(OVER_ALL_SHARDS) != null) {
            search.searchType(SearchType.DFS_QUERY_THEN_FETCH);
        } else if (search.searchType() == SearchType.DFS_QUERY_THEN_FETCH && search.source() != null && ours(search.source().retriever())) {
            ActionListener<Response> outside = ContextPreservingActionListener.wrapPreservingContext(listener, own);
            try (var ignored = own.newStoredContext()) {
                own.putTransient(OVER_ALL_SHARDS, true);
                chain.proceed(task, action, request, outside);
            }
            return;
        }
        chain.proceed(task, action, request, listener);
    }

    private static boolean ours(RetrieverBuilder retriever) {
        return retriever instanceof AttentionFusionRetriever
            || retriever instanceof CompoundRetrieverBuilder<?> compound
                && compound.innerRetrievers().stream().anyMatch(child -> ours(child.retriever()));
    }
}
