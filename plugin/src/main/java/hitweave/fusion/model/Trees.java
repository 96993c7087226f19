package hitweave.fusion.model;

import java.io.IOException;

/** Boosted trees over the signals, whose leaves are added to the score. */
final class Trees {
    private final int[] roots, signals, yes, no;
    private final float[] thresholds, leaves;

    Trees(ModelFile file) throws IOException {
        roots = file.ints("trees.roots");
        signals = file.ints("trees.signals");
        yes = file.ints("trees.yes");
        no = file.ints("trees.no");
        thresholds = file.floats("trees.thresholds");
        leaves = file.floats("trees.leaves");
        for (int at = 0; at < leaves.length; at++) {
            boolean leaf = yes[at] == at && no[at] == at;
            if (leaf == false && (yes[at] <= at || no[at] <= at)) {
                throw new BrokenModel("its trees do not end: export it again");
            }
        }
    }

    /** Whether a file has some. */
    static boolean in(ModelFile file) {
        return file.has("trees.roots");
    }

    /** The sum of the leaves that a candidate with these signals comes to. */
    float of(float[] shown) {
        float sum = 0f;
        for (int root : roots) {
            int at = root;
            while (yes[at] != at) {
                at = shown[signals[at]] <= thresholds[at] ? yes[at] : no[at];
            }
            sum += leaves[at];
        }
        return sum;
    }
}
