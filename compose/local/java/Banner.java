package hitweave.node;

import static org.elasticsearch.rest.RestRequest.Method.GET;
import static org.elasticsearch.rest.RestRequest.Method.HEAD;

import java.io.IOException;
import java.util.List;
import java.util.function.Supplier;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.index.IndexVersion;
import org.elasticsearch.rest.BaseRestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.xcontent.XContentBuilder;

/** {@code GET /} and {@code HEAD /}: name, cluster and version, in the shape every client checks first. */
final class Banner extends BaseRestHandler {

    private final Supplier<ClusterState> state;

    Banner(Supplier<ClusterState> state) {
        this.state = state;
    }

    @Override
    public String getName() {
        return "hitweave_banner";
    }

    @Override
    public List<Route> routes() {
        return List.of(new Route(GET, "/"), new Route(HEAD, "/"));
    }

    @Override
    protected RestChannelConsumer prepareRequest(RestRequest request, NodeClient client) {
        return channel ->
                channel.sendResponse(new RestResponse(RestStatus.OK, describe(channel.newBuilder(), client)));
    }

    private XContentBuilder describe(XContentBuilder json, NodeClient client) throws IOException {
        ClusterState now = state.get();
        Build build = Build.current();
        json.prettyPrint().startObject();
        json.field("name", now.nodes().getLocalNode().getName());
        json.field("cluster_name", now.getClusterName().value());
        json.field("cluster_uuid", now.metadata().clusterUUID());
        json.startObject("version");
        json.field("number", build.qualifiedVersion());
        json.field("build_flavor", build.flavor());
        json.field("build_type", build.type().displayName());
        json.field("build_hash", build.hash());
        json.field("build_date", build.date());
        json.field("build_snapshot", build.isSnapshot());
        json.field("lucene_version", IndexVersion.current().luceneVersion().toString());
        json.field("minimum_wire_compatibility_version", build.minWireCompatVersion());
        json.field("minimum_index_compatibility_version", build.minIndexCompatVersion());
        json.endObject();
        json.field("tagline", "You Know, for Search");
        return json.endObject();
    }
}
