package hitweave.fusion.ranking;

import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.HexFormat;

/** A query vector that came as text, read as Elasticsearch reads it: hex, or base64 with the most significant byte first. */
public final class EncodedVector {
    private EncodedVector() {}

    /** The vector; null where the text holds none of {@code dims} numbers: of bytes, float32 or bfloat16. */
    public static float[] read(String text, int dims) {
        byte[] hex = hex(text);
        if (hex != null && hex.length == dims) {
            return bytes(hex);
        }
        byte[] packed = base64(text);
        int size = packed == null || packed.length % dims != 0 ? 0 : packed.length / dims;
        return switch (size) {
            case Byte.BYTES -> bytes(packed);
            case Short.BYTES -> halves(packed);
            case Float.BYTES -> floats(packed);
            default -> null;
        };
    }

    private static byte[] hex(String text) {
        try {
            return HexFormat.of().parseHex(text);
        } catch (IllegalArgumentException other) {
            return null;
        }
    }

    private static byte[] base64(String text) {
        try {
            return Base64.getDecoder().decode(text);
        } catch (IllegalArgumentException other) {
            return null;
        }
    }

    private static float[] bytes(byte[] read) {
        float[] vector = new float[read.length];
        for (int at = 0; at < vector.length; at++) {
            vector[at] = read[at];
        }
        return vector;
    }

    /** A bfloat16 is the upper half of a float32. */
    private static float[] halves(byte[] read) {
        ByteBuffer buffer = ByteBuffer.wrap(read);
        float[] vector = new float[read.length / Short.BYTES];
        for (int at = 0; at < vector.length; at++) {
            vector[at] = Float.intBitsToFloat(buffer.getShort() << Short.SIZE);
        }
        return vector;
    }

    private static float[] floats(byte[] read) {
        float[] vector = new float[read.length / Float.BYTES];
        ByteBuffer.wrap(read).asFloatBuffer().get(vector);
        return vector;
    }
}
