package hitweave.fusion.retriever;

import org.elasticsearch.common.io.stream.StreamInput;
import org.elasticsearch.common.io.stream.StreamOutput;
import org.elasticsearch.plugins.SearchPlugin.SearchExtSpec;
import org.elasticsearch.search.SearchExtBuilder;
import org.elasticsearch.xcontent.XContentBuilder;

import java.io.IOException;
import java.util.Map;
import java.util.Objects;

/** A section below {@code ext} of a search body, taken as it is: any keys and values. */
public final class Section extends SearchExtBuilder {
    public static final String UBI = "ubi", HITWEAVE = "hitweave";

    private final String name;
    private final Map<String, Object> values;

    Section(String name, Map<String, Object> values) {
        this.name = name;
        this.values = values;
    }

    /** How the node reads the section of that name. */
    public static SearchExtSpec<Section> spec(String name) {
        return new SearchExtSpec<>(
            name,
            (StreamInput in) -> new Section(name, in.readGenericMap()),
            parser -> new Section(name, parser.map())
        );
    }

    /** A value as text; null where there is none. */
    String text(String key) {
        Object value = values.get(key);
        return value == null || value.toString().isEmpty() ? null : value.toString();
    }

    /** A value as a number; null where there is none. */
    Double number(String key) {
        return values.get(key) instanceof Number number ? number.doubleValue() : null;
    }

    /** The free keys and values of the situation; null where there are none. */
    @SuppressWarnings("unchecked")
    Map<String, Object> context() {
        return values.get("context") instanceof Map<?, ?> map ? (Map<String, Object>) map : null;
    }

    @Override
    public String getWriteableName() {
        return name;
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        out.writeGenericMap(values);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        return builder.field(name, values);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Section that && name.equals(that.name) && values.equals(that.values);
    }

    @Override
    public int hashCode() {
        return Objects.hash(name, values);
    }
}
