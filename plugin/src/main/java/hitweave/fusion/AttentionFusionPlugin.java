package hitweave.fusion;

import hitweave.fusion.model.ModelSettings;
import hitweave.fusion.model.Models;
import hitweave.fusion.retriever.AttentionFusionRetriever;
import hitweave.fusion.retriever.ExplainedDoc;
import hitweave.fusion.retriever.SearchTypes;
import hitweave.fusion.retriever.Section;
import hitweave.fusion.scoring.Scorers;
import hitweave.fusion.sidecar.Sidecar;
import hitweave.fusion.sidecar.SidecarSettings;

import org.apache.lucene.util.SetOnce;
import org.elasticsearch.action.support.MappedActionFilter;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.EsExecutors;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.SearchPlugin;
import org.elasticsearch.search.rank.RankDoc;
import org.elasticsearch.threadpool.ExecutorBuilder;
import org.elasticsearch.threadpool.FixedExecutorBuilder;

import java.io.IOException;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;

/** Wires the retriever, the ext sections and the settings into the node. */
public final class AttentionFusionPlugin extends Plugin implements ActionPlugin, SearchPlugin {
    private static final String FOLDER = "hitweave";
    private static final int QUEUE = 1000;

    private final SetOnce<Models> models = new SetOnce<>();
    private final SetOnce<Scorers> scorers = new SetOnce<>();
    private final SetOnce<ThreadContext> context = new SetOnce<>();

    @Override
    public Collection<?> createComponents(PluginServices services) {
        context.set(services.threadPool().getThreadContext());
        var cluster = services.clusterService();
        Settings settings = cluster.getSettings();
        var environment = services.environment();
        var folder = environment.configDir().resolve(FOLDER);
        var dynamic = cluster.getClusterSettings();
        models.set(new Models(settings, dynamic, services.threadPool(), folder, environment.tmpDir()));
        var sidecar = new Sidecar(settings, dynamic, services.threadPool());
        scorers.set(new Scorers(settings, dynamic, services.threadPool(), sidecar, models.get()));
        return List.of();
    }

    @Override
    public void close() throws IOException {
        if (models.get() != null) {
            models.get().close();
        }
    }

    @Override
    public List<Setting<?>> getSettings() {
        return Stream.concat(SidecarSettings.all().stream(), ModelSettings.all().stream()).toList();
    }

    @Override
    public List<ExecutorBuilder<?>> getExecutorBuilders(Settings settings) {
        int size = EsExecutors.allocatedProcessors(settings);
        var untracked = EsExecutors.TaskTrackingConfig.DO_NOT_TRACK;
        return List.of(new FixedExecutorBuilder(settings, Scorers.POOL, size, QUEUE, "thread_pool." + Scorers.POOL, untracked));
    }

    @Override
    public List<RetrieverSpec<?>> getRetrievers() {
        return List.of(
            new RetrieverSpec<>(
                AttentionFusionRetriever.NAME,
                (parser, context) -> AttentionFusionRetriever.parse(parser, context, scorers::get)
            )
        );
    }

    @Override
    public Collection<MappedActionFilter> getMappedActionFilters() {
        return List.of(new SearchTypes(context::get));
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
