package hitweave.fusion.model;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.elasticsearch.common.settings.ClusterSettings;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.core.TimeValue;
import org.elasticsearch.threadpool.Scheduler;
import org.elasticsearch.threadpool.ThreadPool;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The models of the files that the node's setting names, in config/hitweave. A file that changes is read anew; one
 * that is broken or gone is refused, with what was read before still serving.
 */
public final class Models implements Closeable {
    private static final Logger LOGGER = LogManager.getLogger(Models.class);
    private static final TimeValue LOOK_EVERY = TimeValue.timeValueSeconds(2);

    private final Path folder, temporary;
    private final Scheduler.Cancellable looking;
    private final Map<String, String> tried = new HashMap<>();
    private volatile List<String> names;
    private volatile Map<String, NodeModel> models = Map.of();

    public Models(Settings settings, ClusterSettings dynamic, ThreadPool threads, Path folder, Path temporary) {
        this.folder = folder;
        this.temporary = temporary;
        names = ModelSettings.MODELS.get(settings);
        look();
        dynamic.addSettingsUpdateConsumer(ModelSettings.MODELS, given -> {
            names = given;
            threads.generic().execute(this::look);
        });
        looking = threads.scheduleWithFixedDelay(this::look, LOOK_EVERY, threads.generic());
    }

    /** The model of a concrete index; null where there is none. */
    public NodeModel of(String index) {
        Map<String, NodeModel> now = models;
        return names.stream().map(now::get).filter(model -> model != null && model.knows(index)).findFirst().orElse(null);
    }

    private synchronized void look() {
        Map<String, NodeModel> found = new HashMap<>();
        tried.keySet().retainAll(names);
        for (String name : names) {
            NodeModel model = read(name, models.get(name));
            if (model != null) {
                found.put(name, model);
            }
        }
        models = Map.copyOf(found);
    }

    /** The model of a file as it is now; {@code serving} where it did not change or cannot be read. */
    private NodeModel read(String name, NodeModel serving) {
        Path file = folder.resolve(name);
        String state = state(file);
        if (state.equals(tried.put(name, state))) {
            return serving;
        }
        try {
            NodeModel model = NodeModel.open(file, temporary);
            LOGGER.info("[{}] serves: model [{}], {} items", file, model.version(), model.items());
            return model;
        } catch (IOException | RuntimeException error) {
            if (error instanceof IOException && (error instanceof BrokenModel || error instanceof NoSuchFileException) == false) {
                tried.remove(name); // no fault of the file's: the next look may succeed
            }
            String before = serving == null ? "nothing" : "model [" + serving.version() + "]";
            LOGGER.warn("[{}] is refused, {} serves in its place: {}", file, before, error.toString());
            return serving;
        }
    }

    private static String state(Path file) {
        try {
            BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
            return now.lastModifiedTime() + " " + now.size() + " " + now.fileKey();
        } catch (IOException error) {
            return error.toString();
        }
    }

    @Override
    public void close() {
        looking.cancel();
    }
}
