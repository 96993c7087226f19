package hitweave.node;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.bootstrap.BootstrapInfo;
import org.elasticsearch.cluster.ClusterName;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts a node from the archive's jars on a plain class path, for Java runtimes that {@code bin/elasticsearch}
 * does not accept. Without entitlements and security: for the local stack alone.
 */
public final class Launcher {

    private Launcher() {}

    /** Reads {@code es.*} system properties; runs until SIGTERM. */
    public static void main(String[] arguments) throws Exception {
        LogConfigurator.registerErrorListener();
        BootstrapInfo.init();
        Environment environment = environment();
        LogConfigurator.setClusterName(ClusterName.CLUSTER_NAME_SETTING.get(environment.settings()).value());
        LogConfigurator.setNodeName(Node.NODE_NAME_SETTING.get(environment.settings()));
        LogConfigurator.configure(environment, true);
        Node node = new Node(environment, plugins(environment));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node), "hitweave-shutdown"));
        node.start();
        new CountDownLatch(1).await(); // the node's own threads do not keep the process alive
    }

    private static Environment environment() {
        Map<String, String> settings = new HashMap<>();
        settings.put("path.home", System.getProperty("es.path.home"));
        Path config = Path.of(System.getProperty("es.path.conf"));
        return InternalSettingsPreparer.prepareEnvironment(Settings.EMPTY, settings, config, () -> "hitweave");
    }

    private static PluginsLoader plugins(Environment environment) {
        return PluginsLoader.createPluginsLoader(
                PluginsLoader.loadModulesBundles(environment.modulesDir(), false),
                PluginsLoader.loadPluginsBundles(environment.pluginsDir(), false),
                Map.of(),
                false);
    }

    private static void close(Node node) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(30, TimeUnit.SECONDS);
        } catch (Exception e) {
            e.printStackTrace();
        }
    }
}
