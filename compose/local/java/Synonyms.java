package hitweave.node;

import java.io.IOException;
import java.io.StringReader;
import java.text.ParseException;
import java.util.List;
import java.util.function.Function;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.core.FlattenGraphFilter;
import org.apache.lucene.analysis.synonym.SolrSynonymParser;
import org.apache.lucene.analysis.synonym.SynonymGraphFilter;
import org.apache.lucene.analysis.synonym.SynonymMap;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.IndexService.IndexCreationContext;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.CustomAnalyzer;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;

/**
 * {@code synonym} and {@code synonym_graph} with inline rules ({@code synonyms}, {@code expand}).
 *
 * <p>The rules are read with the filters that stand before this one, so one factory alone cannot filter:
 * only the one that knows its chain can.
 */
final class Synonyms extends AbstractTokenFilterFactory {

    private final List<String> rules;
    private final boolean expand;
    private final boolean graph;

    private Synonyms(String name, Settings options, boolean graph) {
        super(name);
        this.rules = options.getAsList("synonyms", null);
        this.expand = options.getAsBoolean("expand", true);
        this.graph = graph;
        if (rules == null) {
            throw new IllegalArgumentException("filter [" + name + "]: the local node needs its rules in [synonyms]");
        }
    }

    /** Built only with its index's options; {@code graph} keeps paths of many words apart. */
    static AnalysisProvider<TokenFilterFactory> provider(boolean graph) {
        return AnalysisPlugin.requiresAnalysisSettings(
                (index, env, name, options) -> new Synonyms(name, options, graph));
    }

    @Override
    public TokenStream create(TokenStream tokens) {
        throw new IllegalStateException("filter [" + name() + "] works only inside an analyzer");
    }

    @Override
    public TokenFilterFactory getChainAwareTokenFilterFactory(
            IndexCreationContext context,
            TokenizerFactory tokenizer,
            List<CharFilterFactory> charFilters,
            List<TokenFilterFactory> filtersBefore,
            Function<String, TokenFilterFactory> all) {
        TokenFilterFactory[] before =
                filtersBefore.stream().map(TokenFilterFactory::getSynonymFilter).toArray(TokenFilterFactory[]::new);
        Analyzer analyzer =
                new CustomAnalyzer(tokenizer, charFilters.toArray(CharFilterFactory[]::new), before);
        SynonymMap map = parse(analyzer);
        return new AbstractTokenFilterFactory(name()) {
            @Override
            public TokenStream create(TokenStream tokens) {
                if (map.fst == null) {
                    return tokens; // Lucene refuses an empty map
                }
                TokenStream widened = new SynonymGraphFilter(tokens, map, false);
                return graph ? widened : new FlattenGraphFilter(widened);
            }
        };
    }

    private SynonymMap parse(Analyzer analyzer) {
        try {
            SolrSynonymParser parser = new SolrSynonymParser(true, expand, analyzer);
            parser.parse(new StringReader(String.join("\n", rules)));
            return parser.build();
        } catch (IOException | ParseException e) {
            throw new IllegalArgumentException("filter [" + name() + "]: the synonyms cannot be read", e);
        }
    }
}
