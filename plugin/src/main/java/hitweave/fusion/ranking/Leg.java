package hitweave.fusion.ranking;

import java.util.List;

/** What one child found, best first. */
public record Leg(Kind kind, List<Found> found) {
    /** Whether a child searches words or vectors: the model takes these apart. */
    public enum Kind {
        KEYWORD,
        VECTOR
    }
}
