package hitweave.fusion.sidecar;

import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Setting.Property;
import org.elasticsearch.core.TimeValue;

import java.net.URI;
import java.util.List;

/** Node settings, all dynamic. A request cannot name a server. */
public final class SidecarSettings {
    public static final Setting<String> URL = Setting.simpleString(
        "attention_fusion.url",
        "http://127.0.0.1:8600",
        SidecarSettings::check,
        Property.NodeScope,
        Property.Dynamic
    );
    public static final Setting<TimeValue> TIMEOUT = Setting.positiveTimeSetting(
        "attention_fusion.timeout",
        TimeValue.timeValueMillis(500),
        Property.NodeScope,
        Property.Dynamic
    );
    public static final Setting<TimeValue> PAUSE = Setting.timeSetting(
        "attention_fusion.pause_after_failure",
        TimeValue.timeValueSeconds(5),
        TimeValue.ZERO,
        Property.NodeScope,
        Property.Dynamic
    );
    public static final Setting<Integer> IN_FLIGHT = Setting.intSetting(
        "attention_fusion.in_flight",
        64,
        1,
        Property.NodeScope,
        Property.Dynamic
    );
    public static final Setting<String> ID_FIELD = Setting.simpleString(
        "attention_fusion.id_field",
        Property.NodeScope,
        Property.Dynamic
    );

    private SidecarSettings() {}

    /** All of them. */
    public static List<Setting<?>> all() {
        return List.of(URL, TIMEOUT, PAUSE, IN_FLIGHT, ID_FIELD);
    }

    private static void check(String url) {
        if (url.isEmpty()) { // no sidecar
            return;
        }
        URI parsed = URI.create(url);
        if (parsed.getHost() == null || ("http".equals(parsed.getScheme()) || "https".equals(parsed.getScheme())) == false) {
            throw new IllegalArgumentException("attention_fusion.url is [" + url + "]: use http://host:port or https://host:port");
        }
    }
}
