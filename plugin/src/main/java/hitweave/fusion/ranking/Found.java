package hitweave.fusion.ranking;

/** One document in the list of one child; {@code place} is the same in all lists of one search. */
public record Found(long place, String id, float score) {}
