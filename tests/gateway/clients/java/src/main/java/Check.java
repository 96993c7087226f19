import co.elastic.clients.elasticsearch.ElasticsearchClient;
import co.elastic.clients.elasticsearch._types.ElasticsearchException;
import co.elastic.clients.elasticsearch._types.FieldValue;
import co.elastic.clients.elasticsearch._types.SortOptions;
import co.elastic.clients.elasticsearch._types.query_dsl.Query;
import co.elastic.clients.elasticsearch.core.SearchResponse;
import co.elastic.clients.elasticsearch.core.search.Hit;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Elastic's Java client, unchanged: Check URL INDEX; fails at the first difference. */
public final class Check {
    private static final Query RED = Query.of(q -> q.match(m -> m.field("title").query("red")));
    private static final Query ACME = Query.of(q -> q.term(t -> t.field("brand").value("acme")));

    @SuppressWarnings("unchecked")
    public static void main(String[] arguments) throws Exception {
        String index = arguments[1];
        try (ElasticsearchClient client = ElasticsearchClient.of(b -> b.host(arguments[0]))) {
            check("You Know, for Search".equals(client.info().tagline()), "banner");
            ranked(client, index);
            paged(client, index);
            refused(client, index);
        }
        System.out.println("same");
    }

    private static void ranked(ElasticsearchClient client, String index) throws Exception {
        SearchResponse<Map> found = client.search(
            s -> s.index(index)
                .query(RED)
                .size(20)
                .source(c -> c.filter(f -> f.includes("title")))
                .aggregations("brands", a -> a.terms(t -> t.field("brand"))),
            Map.class
        );
        Set<String> ids = new HashSet<>();
        for (Hit<Map> hit : found.hits().hits()) {
            ids.add(hit.id());
            check(hit.source().keySet().equals(Set.of("title")), "source");
        }
        check(ids.size() == 20, "twenty different hits");
        check(found.hits().total().value() >= 60, "total");
        check(found.hits().maxScore().equals(found.hits().hits().get(0).score()), "max_score");
        check(
            found.aggregations().get("brands").sterms().buckets().array().stream().anyMatch(b -> b.key().stringValue().equals("acme")),
            "facets"
        );
    }

    private static void paged(ElasticsearchClient client, String index) throws Exception {
        List<SortOptions> sort = List.of(
            SortOptions.of(s -> s.field(f -> f.field("price"))),
            SortOptions.of(s -> s.field(f -> f.field("id")))
        );
        String pit = client.openPointInTime(p -> p.index(index).keepAlive(t -> t.time("1m"))).id();
        Set<String> seen = new HashSet<>();
        List<FieldValue> after = List.of();
        while (true) {
            List<FieldValue> from = after;
            List<Hit<Map>> hits = client.search(
                s -> {
                    s.pit(p -> p.id(pit)).query(ACME).sort(sort).size(100);
                    return from.isEmpty() ? s : s.searchAfter(from);
                },
                Map.class
            ).hits().hits();
            if (hits.isEmpty()) {
                break;
            }
            hits.forEach(hit -> seen.add(hit.id()));
            after = hits.get(hits.size() - 1).sort();
        }
        check(client.closePointInTime(p -> p.id(pit)).succeeded(), "close");
        check(seen.size() == client.count(c -> c.index(index).query(ACME)).count(), "every hit once");
        var several = client.msearch(
            m -> m.searches(r -> r.header(h -> h.index(index)).body(b -> b.query(RED).size(2)))
                .searches(r -> r.header(h -> h.index(index)).body(b -> b.query(ACME).sort(sort).size(1))),
            Map.class
        );
        List<Integer> sizes = several.responses().stream().map(r -> r.result().hits().hits().size()).toList();
        check(sizes.equals(List.of(2, 1)), "multi-search");
    }

    private static void refused(ElasticsearchClient client, String index) throws Exception {
        check("acme".equals(client.get(g -> g.index(index).id("lamp-1"), Map.class).source().get("brand")), "get");
        check(client.get(g -> g.index(index).id("nothing"), Map.class).found() == false, "not found");
        try {
            client.search(s -> s.index("no-such-index").query(RED), Map.class);
            check(false, "an error");
        } catch (ElasticsearchException error) {
            check(error.status() == 404, "status");
            check("index_not_found_exception".equals(error.error().type()), "type");
        }
    }

    private static void check(boolean holds, String what) {
        if (holds == false) {
            throw new AssertionError(what);
        }
    }
}
