package hitweave.fusion.model;

import org.elasticsearch.core.IOUtils;
import org.elasticsearch.xcontent.XContentParser;
import org.elasticsearch.xcontent.XContentParserConfiguration;
import org.elasticsearch.xcontent.json.JsonXContent;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The arrays of the file that `hitweave export-plugin` writes: format, length and SHA-256 are checked first.
 *
 * They are mapped from a copy of its own that no longer has a name: whatever becomes of the file
 * afterwards, the node reads what was checked, and its heap holds none of it.
 */
final class ModelFile {
    private static final byte[] MAGIC = "HITWEAVE".getBytes(StandardCharsets.US_ASCII);
    private static final int FORMAT = 1, DIGEST = MAGIC.length + 4, BODY = DIGEST + 32, ALIGNMENT = 64;
    private static final int HEADER_LIMIT = 16 << 20;
    private static final Map<String, Integer> WIDTHS = Map.of("<f4", 4, "<i8", 8, "<u4", 4, "|i1", 1);

    private final FileChannel channel;
    private final long first;
    private final Map<?, ?> facts;
    private final Map<?, ?> arrays;

    private ModelFile(FileChannel channel) throws IOException {
        this.channel = channel;
        ByteBuffer head = read(0, BODY + 4);
        if (Arrays.equals(bytes(head, 0, MAGIC.length), MAGIC) == false || head.getInt(MAGIC.length) != FORMAT) {
            throw new BrokenModel("this is no file of format " + FORMAT + ": export it again");
        }
        if (MessageDigest.isEqual(bytes(head, DIGEST, 32), digest()) == false) {
            throw new BrokenModel("its SHA-256 is not that of its contents: copy it again");
        }
        int length = head.getInt(BODY);
        if (length < 0 || length > HEADER_LIMIT) {
            throw new BrokenModel("its header is too long");
        }
        first = aligned(BODY + 4L + length);
        Map<String, Object> header = json(bytes(read(BODY + 4, length), 0, length));
        facts = (Map<?, ?>) header.get("facts");
        arrays = (Map<?, ?>) header.get("arrays");
    }

    /** Reads with {@code reader} what {@code path} holds now; {@code temporary} is where the copy lies for a moment. */
    static <T> T open(Path path, Path temporary, Reader<T> reader) throws IOException {
        Path copy = Files.createTempFile(temporary, "attention_fusion", ".model");
        try {
            Files.copy(path, copy, StandardCopyOption.REPLACE_EXISTING);
            try (FileChannel channel = FileChannel.open(copy, StandardOpenOption.READ)) {
                return reader.read(new ModelFile(channel));
            }
        } catch (RuntimeException error) {
            throw new BrokenModel("its parts do not fit each other (" + error + "): export it again");
        } finally {
            IOUtils.deleteFilesIgnoringExceptions(copy); // where a mapped file cannot be, the system does it some day
        }
    }

    /** What is made of a file while it is open; mapped arrays stay. */
    interface Reader<T> {
        T read(ModelFile file) throws IOException;
    }

    String text(String fact) {
        return (String) facts.get(fact);
    }

    int number(String fact) {
        return (int) facts.get(fact);
    }

    @SuppressWarnings("unchecked")
    List<String> names(String fact) {
        return (List<String>) facts.get(fact);
    }

    @SuppressWarnings("unchecked")
    List<List<Integer>> columns(String fact) {
        return (List<List<Integer>>) facts.get(fact);
    }

    /** The array's own length along an axis. */
    int length(String name, int axis) {
        return (int) ((List<?>) array(name).get("shape")).get(axis);
    }

    boolean has(String name) {
        return arrays.containsKey(name);
    }

    /** A mapped array, little-endian, row after row. */
    ByteBuffer mapped(String name) throws IOException {
        Map<?, ?> array = array(name);
        long size = WIDTHS.get((String) array.get("dtype"));
        for (Object length : (List<?>) array.get("shape")) {
            size = Math.multiplyExact(size, (long) (int) length);
        }
        long at = first + ((Number) array.get("offset")).longValue();
        if (size < 0 || at + size > channel.size()) {
            throw new BrokenModel(name + " reaches beyond the end");
        }
        Math.toIntExact(size); // what one buffer can hold
        return channel.map(FileChannel.MapMode.READ_ONLY, at, size).order(ByteOrder.LITTLE_ENDIAN);
    }

    /** All numbers of an array of floats, on the heap. */
    float[] floats(String name) throws IOException {
        ByteBuffer mapped = mapped(name);
        float[] found = new float[mapped.remaining() / 4];
        mapped.asFloatBuffer().get(found);
        return found;
    }

    /** All numbers of an array of whole numbers, on the heap. */
    int[] ints(String name) throws IOException {
        ByteBuffer mapped = mapped(name);
        int[] found = new int[mapped.remaining() / 4];
        mapped.asIntBuffer().get(found);
        return found;
    }

    /** The rows of a matrix of floats, on the heap. */
    float[][] rows(String name) throws IOException {
        float[] flat = floats(name);
        int width = length(name, 1);
        float[][] rows = new float[length(name, 0)][width];
        for (int row = 0; row < rows.length; row++) {
            System.arraycopy(flat, row * width, rows[row], 0, width);
        }
        return rows;
    }

    private Map<?, ?> array(String name) {
        return (Map<?, ?>) arrays.get(name);
    }

    private ByteBuffer read(long at, int length) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, at + buffer.position()) < 0) {
                throw new BrokenModel("it is cut short: copy it again");
            }
        }
        return buffer;
    }

    private byte[] digest() throws IOException {
        MessageDigest digest;
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError("every JVM has it", error);
        }
        ByteBuffer part = ByteBuffer.allocate(1 << 16);
        for (long at = BODY; channel.read(part, at) >= 0; at += part.position(), part.clear()) {
            digest.update(part.array(), 0, part.position());
        }
        return digest.digest();
    }

    private static byte[] bytes(ByteBuffer buffer, int at, int length) {
        byte[] found = new byte[length];
        buffer.get(at, found);
        return found;
    }

    private static long aligned(long at) {
        return (at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private static Map<String, Object> json(byte[] content) throws IOException {
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(XContentParserConfiguration.EMPTY, content)) {
            return parser.map();
        } catch (RuntimeException error) {
            throw new BrokenModel("its header is no JSON");
        }
    }
}
