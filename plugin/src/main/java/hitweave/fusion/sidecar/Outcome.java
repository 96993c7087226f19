package hitweave.fusion.sidecar;

import hitweave.fusion.wire.RerankAnswer;

/** What came of asking the sidecar: its answer, or why there is none; never both. */
public record Outcome(RerankAnswer answer, String reason) {
    /** No answer. */
    public static Outcome failed(String reason) {
        return new Outcome(null, reason);
    }
}
