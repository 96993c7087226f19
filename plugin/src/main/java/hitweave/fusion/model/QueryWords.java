package hitweave.fusion.model;

import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;

/** The words of a query as the catalogue's titles are kept: folded, English plurals as their singular, hashed. */
final class QueryWords {
    static final int LIMIT = 8;
    private static final String UNPARTED = "\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff";
    private static final Pattern WORD = Pattern.compile("[" + UNPARTED + "]|[\\p{L}\\p{N}_&&[^" + UNPARTED + "]]+");
    private static final int PLURAL_FROM = 4, DOTLESS = 'ı';

    private QueryWords() {}

    /** The first words, never zero. */
    static int[] of(String text) {
        Matcher words = WORD.matcher(folded(text));
        int[] found = new int[LIMIT];
        int count = 0;
        while (count < LIMIT && words.find()) {
            found[count++] = hash(singular(words.group()));
        }
        return Arrays.copyOf(found, count);
    }

    /** Full case folding, which Java does not have: through capitals, which know of letters that become two (but for Cherokee). */
    private static String folded(String text) {
        StringBuilder folded = new StringBuilder();
        Normalizer.normalize(text, Normalizer.Form.NFKC).codePoints().forEach(point -> {
            String one = Character.toString(point);
            folded.append(point == DOTLESS ? one : lower(lower(one).toUpperCase(Locale.ROOT)));
        });
        return folded.toString();
    }

    private static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    private static String singular(String word) {
        int length = word.codePointCount(0, word.length());
        if (length < PLURAL_FROM || word.endsWith("s") == false || word.endsWith("ss")) {
            return word;
        }
        if (word.endsWith("ies") && length > PLURAL_FROM) {
            return word.substring(0, word.length() - 3) + "y";
        }
        for (String ending : new String[] { "sses", "xes", "zzes", "ches", "shes" }) {
            if (word.endsWith(ending)) {
                return word.substring(0, word.length() - 2);
            }
        }
        return word.substring(0, word.length() - 1);
    }

    private static int hash(String word) {
        CRC32 crc = new CRC32();
        crc.update(word.getBytes(StandardCharsets.UTF_8));
        return crc.getValue() == 0 ? 1 : (int) crc.getValue();
    }
}
