package hitweave.fusion.ranking;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

import java.util.Arrays;
import java.util.List;

public class CandidatesTest {
    private static final Leg KEYWORD = new Leg(
        Leg.Kind.KEYWORD,
        List.of(new Found(1, "a", 9f), new Found(2, "b", 8f))
    );
    private static final Leg VECTOR = new Leg(
        Leg.Kind.VECTOR,
        List.of(new Found(3, "c", 1f), new Found(2, "b", 0.75f))
    );

    @Test
    public void keywordHitsComeFirstWhateverTheOrderOfTheChildren() {
        List<Candidate> merged = Candidates.merge(List.of(VECTOR, KEYWORD));
        assertEquals(List.of("a", "b", "c"), ids(merged));
        assertEquals(merged, Candidates.merge(List.of(KEYWORD, VECTOR)));
    }

    @Test
    public void aScoreThatNoChildGaveIsMissingNotZero() {
        Candidate first = Candidates.merge(List.of(KEYWORD, VECTOR)).get(0);
        assertEquals(Float.valueOf(9f), first.keyword());
        assertNull(first.cosine());
        assertNull(first.cosineRank());
    }

    @Test
    public void aVectorScoreBecomesTheCosine() {
        Candidate both = Candidates.merge(List.of(KEYWORD, VECTOR)).get(1);
        assertEquals(Float.valueOf(0.5f), both.cosine());
        assertEquals(Integer.valueOf(2), both.cosineRank());
    }

    @Test
    public void whatBothChildrenFoundLeadsByReciprocalRankAndTiesKeepTheirOrder() {
        List<Candidate> order = Candidates.byReciprocalRank(Candidates.merge(List.of(KEYWORD, VECTOR)));
        assertEquals(List.of("b", "a", "c"), ids(order));
        assertEquals(1f / 62f + 1f / 62f, order.get(0).reciprocal(), 0f);
    }

    @Test
    public void anIdInTwoIndicesIsNotDistinct() {
        Leg twice = new Leg(Leg.Kind.KEYWORD, List.of(new Found(1, "a", 2f), new Found(2, "a", 1f)));
        assertFalse(Candidates.distinct(Candidates.merge(List.of(twice))));
        assertTrue(Candidates.distinct(Candidates.merge(List.of(KEYWORD, VECTOR))));
    }

    @Test
    public void whatWordsMatchBehindTheEndOfTheirListGoesOnWithIt() {
        Leg vectors = new Leg(
            Leg.Kind.VECTOR,
            List.of(new Found(3, "c", 1f, 7f), new Found(2, "b", 0.9f, 8f), new Found(4, "d", 0.8f), new Found(5, "e", 0.7f, 8.5f))
        );
        List<Candidate> merged = Candidates.merge(List.of(KEYWORD, vectors));
        assertEquals(List.of("a", "b", "c", "d", "e"), ids(merged));
        assertEquals(Arrays.asList(9f, 8f, 7f, null, 8f), merged.stream().map(Candidate::keyword).toList());
        assertEquals(Arrays.asList(1, 2, 4, null, 3), merged.stream().map(Candidate::keywordRank).toList());
        assertEquals(Candidates.merge(List.of(KEYWORD, VECTOR)).get(2).reciprocal(), merged.get(2).reciprocal(), 0f);
        Leg none = new Leg(Leg.Kind.KEYWORD, List.of());
        assertNull(Candidates.merge(List.of(none, vectors)).get(0).keyword());
    }

    private static List<String> ids(List<Candidate> candidates) {
        return candidates.stream().map(Candidate::id).toList();
    }
}
