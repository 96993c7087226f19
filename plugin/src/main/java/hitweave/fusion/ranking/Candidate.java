package hitweave.fusion.ranking;

/**
 * One document to rank. Scores and ranks are null where no child of that kind found it; ranks count
 * from 1; {@code cosine} is in [-1, 1]; {@code reciprocal} is the sum over all children.
 */
public record Candidate(
    long place,
    String id,
    Float keyword,
    Integer keywordRank,
    Float cosine,
    Integer cosineRank,
    float reciprocal
) {}
