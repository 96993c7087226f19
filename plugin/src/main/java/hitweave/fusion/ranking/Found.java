package hitweave.fusion.ranking;

/**
 * One document in the list of one child; {@code place} is the same in all lists of one search. What
 * vectors found has in {@code keyword} how well the first keyword child matches it; null: not at all.
 */
public record Found(long place, String id, float score, Float keyword) {
    /** A document of which no other child says anything. */
    public Found(long place, String id, float score) {
        this(place, id, score, null);
    }
}
