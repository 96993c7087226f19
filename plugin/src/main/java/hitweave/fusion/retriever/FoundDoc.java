package hitweave.fusion.retriever;

import org.elasticsearch.search.rank.RankDoc;

/**
 * A child's hit with its id and index, and how well the words match what vectors found. To other nodes it is a plain rank doc, so that they need
 * know nothing of this class.
 */
final class FoundDoc extends RankDoc {
    final String id;
    final String index;
    final Float keyword;

    FoundDoc(int doc, float score, int shardIndex, String id, String index, Float keyword) {
        super(doc, score, shardIndex);
        this.id = id;
        this.index = index;
        this.keyword = keyword;
    }

    /** The same document has the same place in the lists of all children. */
    long place() {
        return (long) shardIndex << 32 | doc & 0xffffffffL;
    }
}
