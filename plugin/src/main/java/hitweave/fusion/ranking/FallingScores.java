package hitweave.fusion.ranking;

/** Scores as Lucene takes them: positive, and falling along the order so that it cannot change. */
public final class FallingScores {
    private static final float LOWEST = 1e-3f;

    private FallingScores() {}

    /** The scores along an order, shifted where one is not positive; equal ones fall by one step. */
    public static float[] of(float[] scores) {
        float[] falling = new float[scores.length];
        float lowest = Float.MAX_VALUE;
        for (float score : scores) {
            lowest = Math.min(lowest, score);
        }
        float shift = lowest > LOWEST ? 0f : LOWEST - lowest;
        for (int row = 0; row < scores.length; row++) {
            float score = scores[row] + shift;
            falling[row] = row == 0 ? score : Math.min(score, Math.nextDown(falling[row - 1]));
        }
        return falling;
    }
}
