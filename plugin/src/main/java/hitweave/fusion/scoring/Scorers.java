package hitweave.fusion.scoring;

import hitweave.fusion.model.ModelSettings;
import hitweave.fusion.model.ModelSettings.Fallback;
import hitweave.fusion.model.Models;
import hitweave.fusion.model.NodeModel;
import hitweave.fusion.sidecar.Outcome;
import hitweave.fusion.sidecar.Sidecar;
import hitweave.fusion.wire.RerankAnswer;
import hitweave.fusion.wire.RerankRequest;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ThreadedActionListener;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.AbstractRunnable;
import org.elasticsearch.common.util.concurrent.EsRejectedExecutionException;
import org.elasticsearch.threadpool.ThreadPool;

import java.util.function.IntFunction;

/**
 * Who ranks: the sidecar where one is configured, else the model inside the node; that one also in place of a sidecar
 * that fails, where the setting says so. Every call is answered, an error by its reason.
 */
public final class Scorers {
    /** Threads of their own: a model must not hold one that searches or answers. */
    public static final String POOL = "attention_fusion";
    private static final Logger LOGGER = LogManager.getLogger(Scorers.class);

    private final Sidecar sidecar;
    private final Models models;
    private final ThreadPool threads;
    private volatile Fallback fallback;

    public Scorers(Settings settings, ClusterSettings dynamic, ThreadPool threads, Sidecar sidecar, Models models) {
        this.sidecar = sidecar;
        this.models = models;
        this.threads = threads;
        fallback = ModelSettings.FALLBACK.get(settings);
        dynamic.addSettingsUpdateConsumer(ModelSettings.FALLBACK, given -> fallback = given);
    }

    /** The column that holds a document's id; empty: read _id. */
    public String idField() {
        return sidecar.idField();
    }

    /** Asks; {@code vector} gives the query's by its dimensions; the listener hears an outcome on a pool of the node, in the caller's thread context. */
    public void ask(RerankRequest request, IntFunction<float[]> vector, ActionListener<Outcome> listener) {
        if (sidecar.configured() == false) {
            inNode(request, vector, null, listener);
            return;
        }
        sidecar.ask(request, listener.delegateFailureAndWrap((rest, outcome) -> {
            if (outcome.answer() != null || fallback == Fallback.RRF) {
                rest.onResponse(outcome);
            } else {
                inNode(request, vector, outcome.reason(), rest);
            }
        }));
    }

    /** Ranks in the node; {@code failed} is why the sidecar did not, null where there is none. */
    private void inNode(RerankRequest request, IntFunction<float[]> vector, String failed, ActionListener<Outcome> listener) {
        NodeModel model = models.of(request.index());
        if (model == null) {
            listener.onResponse(Outcome.failed(failed == null ? "no_sidecar_and_no_model" : failed));
            return;
        }
        ActionListener<Outcome> back = new ThreadedActionListener<>(
            threads.executor(ThreadPool.Names.SEARCH_COORDINATION),
            true,
            listener
        );
        threads.executor(POOL).execute(new AbstractRunnable() {
            @Override
            protected void doRun() {
                String named = "model " + model.version() + " in the node";
                String degraded = failed == null ? null : failed + ", ranked by " + named;
                var items = model.ranked(request.candidates(), request.query(), vector.apply(model.dims()), request.window());
                back.onResponse(new Outcome(new RerankAnswer(named, degraded, items), null));
            }

            @Override
            public void onFailure(Exception error) {
                boolean busy = error instanceof EsRejectedExecutionException;
                if (busy == false) {
                    LOGGER.warn("model [" + model.version() + "] failed", error);
                }
                String reason = busy ? "node_busy" : "model_failed";
                back.onResponse(Outcome.failed(failed == null ? reason : failed));
            }
        });
    }
}
