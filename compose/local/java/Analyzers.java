package hitweave.node;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.cjk.CJKAnalyzer;
import org.apache.lucene.analysis.cn.smart.SmartChineseAnalyzer;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.elasticsearch.index.analysis.AbstractIndexAnalyzerProvider;
import org.elasticsearch.index.analysis.Analysis;
import org.elasticsearch.index.analysis.AnalyzerProvider;
import org.elasticsearch.index.analysis.PreBuiltAnalyzerProviderFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.indices.analysis.PreBuiltCacheFactory.CachingStrategy;

/** The analyzers {@code english}, {@code cjk} and {@code smartcn}, as a stock node with its plugins names them. */
final class Analyzers {

    private Analyzers() {}

    /** Analyzers by name, shared by all indices. */
    static List<PreBuiltAnalyzerProviderFactory> ready() {
        return List.of(
                new PreBuiltAnalyzerProviderFactory("english", CachingStrategy.ONE, EnglishAnalyzer::new),
                new PreBuiltAnalyzerProviderFactory("cjk", CachingStrategy.ONE, CJKAnalyzer::new),
                new PreBuiltAnalyzerProviderFactory("smartcn", CachingStrategy.ONE, SmartChineseAnalyzer::new));
    }

    /** Analyzers that an index defines with its own stop words. */
    static Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> configurable() {
        Map<String, AnalysisProvider<AnalyzerProvider<? extends Analyzer>>> analyzers = new TreeMap<>();
        analyzers.put("english", stopping(EnglishAnalyzer.getDefaultStopSet(), EnglishAnalyzer::new));
        analyzers.put("cjk", stopping(CJKAnalyzer.getDefaultStopSet(), CJKAnalyzer::new));
        analyzers.put("smartcn", (index, env, name, options) -> fixed(name, new SmartChineseAnalyzer()));
        return analyzers;
    }

    private static AnalysisProvider<AnalyzerProvider<? extends Analyzer>> stopping(
            CharArraySet usual, Function<CharArraySet, Analyzer> build) {
        return (index, env, name, options) ->
                fixed(name, build.apply(Analysis.parseStopWords(env, options, usual)));
    }

    private static AnalyzerProvider<Analyzer> fixed(String name, Analyzer analyzer) {
        return new AbstractIndexAnalyzerProvider<>(name) {
            @Override
            public Analyzer get() {
                return analyzer;
            }
        };
    }
}
