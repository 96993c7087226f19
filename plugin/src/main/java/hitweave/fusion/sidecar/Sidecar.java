package hitweave.fusion.sidecar;

import hitweave.fusion.ranking.Candidate;
import hitweave.fusion.wire.RerankAnswer;
import hitweave.fusion.wire.RerankRequest;

import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.support.ContextPreservingActionListener;
import org.elasticsearch.action.support.ThreadedActionListener;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.util.concurrent.AbstractRunnable;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.threadpool.Scheduler;
import org.elasticsearch.threadpool.ThreadPool;

import java.io.IOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * Asks POST /rerank without holding a thread; every call is answered, an error by its reason.
 *
 * After a failure nothing is asked for a while, so that a dead sidecar does not slow every search.
 */
public final class Sidecar {
    private static final long BODY_LIMIT_BYTES = 16L << 20;
    private static final String DOWN = "sidecar_down", LATE = "sidecar_late", WRONG = "sidecar_wrong";

    private final ThreadPool threads;
    private final HttpClient http;
    private final AtomicInteger inFlight = new AtomicInteger();
    private final AtomicLong pausedUntil = new AtomicLong(System.nanoTime());
    private volatile URI uri;
    private volatile TimeValue timeout;
    private volatile TimeValue pause;
    private volatile int inFlightMax;
    private volatile String idField;

    public Sidecar(Settings settings, ClusterSettings dynamic, ThreadPool threads) {
        this.threads = threads;
        this.http = HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .build();
        follow(settings, dynamic, SidecarSettings.URL, url -> {
            uri = url.isEmpty() ? null : URI.create(url.replaceAll("/+$", "") + "/rerank");
            resume();
        });
        follow(settings, dynamic, SidecarSettings.TIMEOUT, value -> timeout = value);
        follow(settings, dynamic, SidecarSettings.PAUSE, value -> {
            pause = value;
            resume();
        });
        follow(settings, dynamic, SidecarSettings.IN_FLIGHT, value -> inFlightMax = value);
        follow(settings, dynamic, SidecarSettings.ID_FIELD, value -> idField = value);
    }

    /** Whether the node is told of a sidecar at all. */
    public boolean configured() {
        return uri != null;
    }

    /** The column that holds a document's id; empty: read _id. */
    public String idField() {
        return idField;
    }

    /** Asks, where it is configured; the listener hears an outcome on a pool of the node, in the caller's thread context. */
    public void ask(RerankRequest request, ActionListener<Outcome> listener) {
        if (pausedUntil.get() - System.nanoTime() > 0) {
            listener.onResponse(Outcome.failed("sidecar_paused"));
            return;
        }
        if (inFlight.incrementAndGet() > inFlightMax) {
            inFlight.decrementAndGet();
            listener.onResponse(Outcome.failed("sidecar_busy"));
            return;
        }
        Executor pool = threads.executor(ThreadPool.Names.SEARCH_COORDINATION);
        ActionListener<Outcome> back = ContextPreservingActionListener.wrapPreservingContext(
            new ThreadedActionListener<>(pool, true, ActionListener.runBefore(listener, inFlight::decrementAndGet)),
            threads.getThreadContext()
        );
        pool.execute(new AbstractRunnable() {
            @Override
            protected void doRun() throws IOException {
                send(request, back);
            }

            @Override
            public void onFailure(Exception error) {
                back.onResponse(Outcome.failed("node_busy"));
            }
        });
    }

    private void send(RerankRequest request, ActionListener<Outcome> back) throws IOException {
        URI address = uri;
        if (address == null) { // taken away since it was asked for
            back.onResponse(Outcome.failed(DOWN));
            return;
        }
        HttpRequest sent = HttpRequest.newBuilder(address)
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofByteArray(request.encode()))
            .build();
        TimeValue limit = timeout;
        CompletableFuture<HttpResponse<byte[]>> exchange = http.sendAsync(sent, head -> new LimitedBody(BODY_LIMIT_BYTES));
        // The client's own timeout ends with the head of the answer; this one covers the body too.
        Scheduler.ScheduledCancellable late = threads.schedule(() -> exchange.cancel(true), limit, threads.generic());
        Set<String> asked = request.candidates().stream().map(Candidate::id).collect(Collectors.toSet());
        exchange.whenComplete((response, error) -> {
            late.cancel();
            Outcome outcome = error == null ? read(response, asked) : Outcome.failed(reason(error));
            if (outcome.answer() == null) {
                pausedUntil.set(System.nanoTime() + pause.nanos());
            }
            back.onResponse(outcome);
        });
    }

    private static Outcome read(HttpResponse<byte[]> response, Set<String> asked) {
        if (response.statusCode() != 200) {
            return Outcome.failed("sidecar_status_" + response.statusCode());
        }
        try {
            return new Outcome(RerankAnswer.decode(response.body(), asked), null);
        } catch (RerankAnswer.Wrong wrong) {
            return Outcome.failed(WRONG + " (" + wrong.getMessage() + ")");
        }
    }

    private static String reason(Throwable error) {
        Throwable cause = error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
        if (cause instanceof CancellationException) {
            return LATE;
        }
        return cause instanceof ConnectException ? DOWN : DOWN + " (" + cause.getClass().getSimpleName() + ")";
    }

    private void resume() {
        pausedUntil.set(System.nanoTime());
    }

    private static <T> void follow(Settings settings, ClusterSettings dynamic, Setting<T> setting, Consumer<T> take) {
        take.accept(setting.get(settings));
        dynamic.addSettingsUpdateConsumer(setting, take);
    }
}
