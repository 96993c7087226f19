package hitweave.fusion.ranking;

/**
 * One document to rank. Scores and ranks are null where no child of that kind found it; ranks count
 * from 1; {@code cosine} is in [-1, 1]; {@code reciprocal} is the sum over all children, each as far
 * as its list goes.
 */
public record Candidate(
    long place,
    String id,
    Float keyword,
    Integer keywordRank,
    Float cosine,
    Integer cosineRank,
    float reciprocal
) {
    /** By reciprocal rank fusion of its two ranks, as the sidecar knows it. */
    public float byRanks() {
        return reciprocal(keywordRank) + reciprocal(cosineRank);
    }

    private static float reciprocal(Integer rank) {
        return rank == null ? 0f : 1f / (Candidates.RANK_CONSTANT + rank);
    }
}
