package hitweave.fusion.ranking;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertNull;

import org.junit.Test;

import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Random;

public class EncodedVectorTest {
    private static final int DIMS = 24;
    private final Random random = new Random(7);

    @Test
    public void floatsComeBackAsTheyWere() {
        for (int round = 0; round < 200; round++) {
            float[] vector = drawn();
            ByteBuffer packed = ByteBuffer.allocate(DIMS * Float.BYTES);
            packed.asFloatBuffer().put(vector);
            assertArrayEquals(vector, EncodedVector.read(base64(packed.array()), DIMS), 0f);
        }
    }

    @Test
    public void halvesAreTheUpperBytesOfFloats() {
        for (int round = 0; round < 200; round++) {
            float[] vector = drawn();
            ByteBuffer packed = ByteBuffer.allocate(DIMS * Short.BYTES);
            for (int at = 0; at < DIMS; at++) {
                int bits = Float.floatToIntBits(vector[at]) & 0xffff0000;
                vector[at] = Float.intBitsToFloat(bits);
                packed.putShort((short) (bits >> Short.SIZE));
            }
            assertArrayEquals(vector, EncodedVector.read(base64(packed.array()), DIMS), 0f);
        }
    }

    @Test
    public void bytesAreSignedNumbersInHexAndInBase64() {
        for (int round = 0; round < 200; round++) {
            byte[] bytes = new byte[DIMS];
            random.nextBytes(bytes);
            float[] vector = new float[DIMS];
            for (int at = 0; at < DIMS; at++) {
                vector[at] = bytes[at];
            }
            assertArrayEquals(vector, EncodedVector.read(HexFormat.of().formatHex(bytes), DIMS), 0f);
            assertArrayEquals(vector, EncodedVector.read(base64(bytes), DIMS), 0f);
        }
    }

    @Test
    public void textThatHoldsNoVectorOfThatSpaceIsNone() {
        String longer = base64(new byte[DIMS + 1]), doubles = base64(new byte[DIMS * Double.BYTES]);
        for (String text : new String[] { "", "no vector", "abc", "0g", longer, doubles }) {
            assertNull(text, EncodedVector.read(text, DIMS));
        }
    }

    private float[] drawn() {
        float[] vector = new float[DIMS];
        for (int at = 0; at < DIMS; at++) {
            vector[at] = (float) random.nextGaussian();
        }
        return vector;
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}
