package hitweave.fusion.ranking;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * The union of the children's lists: what the keyword children found first, in their order, then
 * what only vectors found. This order decides between equal scores, here and in the sidecar.
 */
public final class Candidates {
    static final float RANK_CONSTANT = 60f;

    private Candidates() {}

    /**
     * Joins the lists; of several children of one kind the first that found a document speaks. What
     * the first keyword child matches behind the end of its list, and vectors found, goes on with it.
     */
    public static List<Candidate> merge(List<Leg> legs) {
        Map<Long, Parts> union = new LinkedHashMap<>();
        for (Leg.Kind kind : Leg.Kind.values()) {
            for (Leg leg : legs) {
                if (leg.kind() == kind) {
                    add(union, leg);
                }
            }
        }
        legs.stream().filter(leg -> leg.kind() == Leg.Kind.KEYWORD).findFirst().ifPresent(first -> goOn(union, first));
        return union.values().stream().map(Parts::candidate).toList();
    }

    private static void goOn(Map<Long, Parts> union, Leg first) {
        List<Parts> behind = new ArrayList<>(union.values());
        behind.removeIf(one -> one.keywordRank != null || one.behind == null);
        behind.sort(Comparator.comparing(one -> one.behind, Comparator.reverseOrder()));
        int rank = first.found().size();
        for (Parts one : rank == 0 ? List.<Parts>of() : behind) {
            one.keyword = Math.min(one.behind, first.found().get(first.found().size() - 1).score());
            one.keywordRank = ++rank;
        }
    }

    /** By reciprocal rank fusion (Cormack, Clarke and Büttcher 2009); equal ones keep their order. */
    public static List<Candidate> byReciprocalRank(List<Candidate> candidates) {
        List<Candidate> sorted = new ArrayList<>(candidates);
        sorted.sort(Comparator.comparing(Candidate::reciprocal, Comparator.reverseOrder()));
        return sorted;
    }

    /** Whether every candidate has an id and no two share one: else no list can be asked for. */
    public static boolean distinct(List<Candidate> candidates) {
        Set<String> ids = new HashSet<>();
        return candidates.stream().allMatch(one -> one.id() != null && ids.add(one.id()));
    }

    private static void add(Map<Long, Parts> union, Leg leg) {
        int rank = 0;
        for (Found found : leg.found()) {
            union.computeIfAbsent(found.place(), place -> new Parts(found)).saw(leg.kind(), found, ++rank);
        }
    }

    private static final class Parts {
        private final Found first;
        private Float keyword;
        private Integer keywordRank;
        private Float behind;
        private Float cosine;
        private Integer cosineRank;
        private float reciprocal;

        private Parts(Found first) {
            this.first = first;
        }

        private void saw(Leg.Kind kind, Found found, int rank) {
            reciprocal += 1f / (RANK_CONSTANT + rank);
            if (kind == Leg.Kind.KEYWORD && keywordRank == null) {
                keyword = found.score();
                keywordRank = rank;
            } else if (kind == Leg.Kind.VECTOR && cosineRank == null) {
                cosine = found.score() * 2f - 1f; // Elasticsearch scores a cosine c as (1 + c) / 2
                cosineRank = rank;
                behind = found.keyword();
            }
        }

        private Candidate candidate() {
            return new Candidate(first.place(), first.id(), keyword, keywordRank, cosine, cosineRank, reciprocal);
        }
    }
}
