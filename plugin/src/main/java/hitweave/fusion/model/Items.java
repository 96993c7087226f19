package hitweave.fusion.model;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/** What was known of each item when the file was written; the last row stands for every other item. */
final class Items {
    static final int WORDS = 24;

    private final ByteBuffer keys, own, ranked, words, scale, vectors, tokens;
    private final int count, columns, rankings, dims, width;

    Items(ModelFile file) throws IOException {
        keys = file.mapped("keys");
        own = file.mapped("own");
        ranked = file.mapped("ranked");
        words = file.mapped("words");
        scale = file.mapped("scale");
        vectors = file.mapped("vectors");
        tokens = file.mapped("tokens");
        count = file.number("items");
        columns = file.names("own").size();
        rankings = file.length("ranked", 1);
        dims = file.number("dims");
        width = file.length("tokens", 1);
        check(keys, 8L * count);
        check(own, 4L * columns * (count + 1L));
        check(ranked, 4L * rankings * (count + 1L));
        check(words, 4L * WORDS * (count + 1L));
        check(scale, 4L * (count + 1L));
        check(vectors, dims * (count + 1L));
        check(tokens, 4L * width * (count + 1L));
    }

    private static void check(ByteBuffer array, long bytes) throws BrokenModel {
        if (array.remaining() != bytes) {
            throw new BrokenModel("its items have columns of different lengths: export it again");
        }
    }

    /** Where an item is. */
    int row(String id) {
        long key = key(id);
        int low = 0, high = count - 1;
        while (low <= high) {
            int middle = (low + high) >>> 1;
            long found = keys.getLong(8 * middle);
            if (found == key) {
                return middle;
            }
            if (found < key) {
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        return count;
    }

    int count() {
        return count;
    }

    float own(int row, int column) {
        return own.getFloat(4 * (row * columns + column));
    }

    float ranked(int row, int column) {
        return ranked.getFloat(4 * (row * rankings + column));
    }

    /** The title's words in order; zero: no more. */
    int[] words(int row) {
        int[] found = new int[WORDS];
        for (int at = 0; at < WORDS; at++) {
            found[at] = words.getInt(4 * (row * WORDS + at));
        }
        return found;
    }

    /** Of the item's vector and a unit vector. */
    float cosine(int row, float[] query) {
        float sum = 0;
        for (int at = 0, from = row * dims; at < dims; at++) {
            sum += vectors.get(from + at) * query[at];
        }
        return sum * scale.getFloat(4 * row);
    }

    /** What a network reads the item as. */
    float[] token(int row, int member, int length) {
        float[] found = new float[length];
        for (int at = 0, from = row * width + member * length; at < length; at++) {
            found[at] = tokens.getFloat(4 * (from + at));
        }
        return found;
    }

    private static long key(String id) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(id.getBytes(StandardCharsets.UTF_8));
            return ByteBuffer.wrap(digest).getLong();
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError("every JVM has it", error);
        }
    }
}
