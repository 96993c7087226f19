package hitweave.fusion.ranking;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

import java.util.Random;

public class FallingScoresTest {
    @Test
    public void positiveFallingScoresStayAsTheyAre() {
        assertArrayEquals(new float[] { 3f, 2f, 1f }, FallingScores.of(new float[] { 3f, 2f, 1f }), 0f);
    }

    @Test
    public void whateverTheScoresTheyFallStrictlyAndStayPositive() {
        Random random = new Random(7);
        for (int round = 0; round < 500; round++) {
            float[] scores = new float[random.nextInt(200)];
            float score = 100f * (random.nextFloat() - 0.5f);
            for (int row = 0; row < scores.length; row++) {
                scores[row] = score;
                score -= random.nextInt(3) * random.nextFloat();
            }
            float last = Float.POSITIVE_INFINITY;
            for (float falling : FallingScores.of(scores)) {
                assertTrue(falling < last && falling > 0f);
                last = falling;
            }
        }
    }
}
