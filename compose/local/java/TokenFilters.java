package hitweave.node;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.cjk.CJKBigramFilter;
import org.apache.lucene.analysis.cjk.CJKWidthFilter;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.KStemFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.NormalizingTokenFilterFactory;
import org.elasticsearch.index.analysis.PreConfiguredTokenFilter;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.tartarus.snowball.ext.EnglishStemmer;

/** The token filters that the archive lacks, under the names and options that Elasticsearch documents. */
final class TokenFilters {

    private static final Map<String, Integer> SCRIPTS = Map.of(
            "han", CJKBigramFilter.HAN,
            "hiragana", CJKBigramFilter.HIRAGANA,
            "katakana", CJKBigramFilter.KATAKANA,
            "hangul", CJKBigramFilter.HANGUL);

    private TokenFilters() {}

    /** Filters by name, without options. */
    static List<PreConfiguredTokenFilter> ready() {
        return List.of(
                PreConfiguredTokenFilter.singleton("asciifolding", true, ASCIIFoldingFilter::new),
                PreConfiguredTokenFilter.singleton("cjk_bigram", false, CJKBigramFilter::new),
                PreConfiguredTokenFilter.singleton("cjk_width", true, CJKWidthFilter::new),
                PreConfiguredTokenFilter.singleton("kstem", false, KStemFilter::new),
                PreConfiguredTokenFilter.singleton("porter_stem", false, PorterStemFilter::new));
    }

    /** Filters that an index defines with {@code type} and options. */
    static Map<String, AnalysisProvider<TokenFilterFactory>> configurable() {
        Map<String, AnalysisProvider<TokenFilterFactory>> filters = new TreeMap<>();
        filters.put("asciifolding", (index, env, name, options) -> folding(name, options));
        filters.put("cjk_bigram", (index, env, name, options) -> plain(name, bigrams(name, options)));
        filters.put("cjk_width", (index, env, name, options) -> normalizing(name, CJKWidthFilter::new));
        filters.put("kstem", (index, env, name, options) -> plain(name, KStemFilter::new));
        filters.put("porter_stem", (index, env, name, options) -> plain(name, PorterStemFilter::new));
        filters.put("stemmer", (index, env, name, options) -> plain(name, stemmer(name, options)));
        filters.put("synonym", Synonyms.provider(false));
        filters.put("synonym_graph", Synonyms.provider(true));
        return filters;
    }

    private static TokenFilterFactory folding(String name, Settings options) {
        boolean keepOriginal = options.getAsBoolean("preserve_original", false);
        UnaryOperator<TokenStream> fold = tokens -> new ASCIIFoldingFilter(tokens, keepOriginal);
        return keepOriginal ? plain(name, fold) : normalizing(name, fold);
    }

    private static UnaryOperator<TokenStream> bigrams(String name, Settings options) {
        int flags = SCRIPTS.values().stream().reduce(0, (left, right) -> left | right);
        for (String script : options.getAsList("ignored_scripts")) {
            Integer flag = SCRIPTS.get(script);
            if (flag == null) {
                throw new IllegalArgumentException(
                        "filter [" + name + "]: unknown script [" + script + "], one of " + SCRIPTS.keySet());
            }
            flags &= ~flag;
        }
        int scripts = flags;
        boolean unigrams = options.getAsBoolean("output_unigrams", false);
        return tokens -> new CJKBigramFilter(tokens, scripts, unigrams);
    }

    private static UnaryOperator<TokenStream> stemmer(String name, Settings options) {
        String language = options.get("language", options.get("name", "english"));
        return switch (language) {
            case "english", "porter" -> PorterStemFilter::new;
            case "light_english", "lightEnglish", "kstem" -> KStemFilter::new;
            case "porter2" -> tokens -> new SnowballFilter(tokens, new EnglishStemmer());
            case "possessive_english", "possessiveEnglish" -> EnglishPossessiveFilter::new;
            default -> throw new IllegalArgumentException("filter [" + name + "]: the local node stems english, "
                    + "light_english, porter2 and possessive_english, not [" + language + "]");
        };
    }

    private static TokenFilterFactory plain(String name, UnaryOperator<TokenStream> filter) {
        return new AbstractTokenFilterFactory(name) {
            @Override
            public TokenStream create(TokenStream tokens) {
                return filter.apply(tokens);
            }
        };
    }

    private static TokenFilterFactory normalizing(String name, UnaryOperator<TokenStream> filter) {
        return new Normalizing(name, filter);
    }

    /** A filter that also applies to terms which are not analysed, such as wildcards and keywords. */
    private static final class Normalizing extends AbstractTokenFilterFactory
            implements NormalizingTokenFilterFactory {

        private final UnaryOperator<TokenStream> filter;

        Normalizing(String name, UnaryOperator<TokenStream> filter) {
            super(name);
            this.filter = filter;
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return filter.apply(tokens);
        }
    }
}
