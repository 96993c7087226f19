package hitweave.fusion.retriever;

import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.search.SearchRequest;
import org.elasticsearch.action.search.SearchType;
import org.elasticsearch.action.search.TransportSearchAction;
import org.elasticsearch.action.support.ActionFilterChain;
import org.elasticsearch.action.support.MappedActionFilter;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.search.SearchExtBuilder;
import org.elasticsearch.search.builder.SearchSourceBuilder;
import org.elasticsearch.search.retriever.CompoundRetrieverBuilder;
import org.elasticsearch.search.retriever.RetrieverBuilder;
import org.elasticsearch.tasks.Task;
import org.elasticsearch.xcontent.XContentBuilder;

import java.util.ArrayList;
import java.util.List;

/**
 * Hands a request's search type on to the children of the retriever, which Elasticsearch does not: with
 * dfs_query_then_fetch all shards score words by the same statistics.
 *
 * A retriever is shown no search type and its searches have none, so both are looked at where they begin: the
 * request's is told to the retriever, which marks its children's searches, and the mark is taken off again here.
 */
public final class SearchTypes implements MappedActionFilter {
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
        if (request instanceof SearchRequest search && search.source() != null) {
            if (Mark.isOn(search.source())) {
                Mark.takeOff(search.source());
                search.searchType(SearchType.DFS_QUERY_THEN_FETCH);
            } else if (search.searchType() == SearchType.DFS_QUERY_THEN_FETCH) {
                tell(search.source().retriever());
            }
        }
        chain.proceed(task, action, request, listener);
    }

    private static void tell(RetrieverBuilder retriever) {
        if (retriever instanceof AttentionFusionRetriever ours) {
            ours.countOverAllShards();
        }
        if (retriever instanceof CompoundRetrieverBuilder<?> compound) {
            compound.innerRetrievers().forEach(child -> tell(child.retriever()));
        }
    }

    /** Says that a child's search counts over all shards; it never leaves the node. */
    static final class Mark extends SearchExtBuilder {
        private static final Mark MARK = new Mark();

        private Mark() {}

        static void putOn(SearchSourceBuilder source) {
            List<SearchExtBuilder> sections = new ArrayList<>(source.ext());
            sections.add(MARK);
            source.ext(sections);
        }

        private static boolean isOn(SearchSourceBuilder source) {
            return source.ext().contains(MARK);
        }

        private static void takeOff(SearchSourceBuilder source) {
            source.ext(source.ext().stream().filter(section -> section != MARK).toList());
        }

        @Override
        public String getWriteableName() {
            return "hitweave_counts_over_all_shards";
        }

        @Override
        public void writeTo(StreamOutput out) {
            throw new UnsupportedOperationException("taken off before a search is sent");
        }

        @Override
        public XContentBuilder toXContent(XContentBuilder builder, Params params) {
            return builder; // nothing of it in logs
        }

        @Override
        public boolean equals(Object other) {
            return this == other;
        }

        @Override
        public int hashCode() {
            return System.identityHashCode(this);
        }
    }
}
