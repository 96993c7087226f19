package hitweave.fusion;

import hitweave.fusion.retriever.AttentionFusionRetriever;
import hitweave.fusion.retriever.ExplainedDoc;
import hitweave.fusion.retriever.Section;
import hitweave.fusion.sidecar.Sidecar;
import hitweave.fusion.sidecar.SidecarSettings;

import org.apache.lucene.util.SetOnce;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.SearchPlugin;
import org.elasticsearch.search.rank.RankDoc;

import java.util.Collection;
import java.util.List;

/** Wires the retriever, the ext sections and the settings into the node. */
public final class AttentionFusionPlugin extends Plugin implements SearchPlugin {
    private final SetOnce<Sidecar> sidecar = new SetOnce<>();

    @Override
    public Collection<?> createComponents(PluginServices services) {
        var cluster = services.clusterService();
        sidecar.set(new Sidecar(cluster.getSettings(), cluster.getClusterSettings(), services.threadPool()));
        return List.of();
    }

    @Override
    public List<Setting<?>> getSettings() {
        return SidecarSettings.all();
    }

    @Override
    public List<RetrieverSpec<?>> getRetrievers() {
        return List.of(
            new RetrieverSpec<>(
                AttentionFusionRetriever.NAME,
                (parser, context) -> AttentionFusionRetriever.parse(parser, context, sidecar::get)
            )
        );
    }

    @Override
    public List<SearchExtSpec<?>> getSearchExts() {
        return List.of(Section.spec(Section.UBI), Section.spec(Section.HITWEAVE));
    }

    @Override
    public List<NamedWriteableRegistry.Entry> getNamedWriteables() {
        return List.of(new NamedWriteableRegistry.Entry(RankDoc.class, ExplainedDoc.NAME, ExplainedDoc::new));
    }
}
