package hitweave.fusion.model;

import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Setting.Property;

import java.util.List;
import java.util.regex.Pattern;

/** Node settings of the models inside the node, all dynamic. */
public final class ModelSettings {
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*");

    public static final Setting<List<String>> MODELS = Setting.stringListSetting(
        "attention_fusion.models",
        ModelSettings::check,
        Property.NodeScope,
        Property.Dynamic
    );
    public static final Setting<Fallback> FALLBACK = Setting.enumSetting(
        Fallback.class,
        "attention_fusion.fallback",
        Fallback.RRF,
        Property.NodeScope,
        Property.Dynamic
    );

    /** What ranks when the sidecar fails. */
    public enum Fallback {
        RRF,
        MODEL
    }

    private ModelSettings() {}

    /** All of them. */
    public static List<Setting<?>> all() {
        return List.of(MODELS, FALLBACK);
    }

    private static void check(List<String> names) {
        for (String name : names) {
            if (NAME.matcher(name).matches() == false) {
                throw new IllegalArgumentException("attention_fusion.models names [" + name + "]: use names of files in config/hitweave");
            }
        }
    }
}
