package hitweave.fusion.wire;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import hitweave.fusion.ranking.Candidate;

import org.junit.Test;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;

public class RerankTest {
    @Test
    public void whatIsNotKnownIsLeftOutOfTheRequest() throws Exception {
        var candidates = List.of(new Candidate(1, "é", 1.5f, 1, null, null, 0f), new Candidate(2, "b", null, null, 0.1f, 1, 0f));
        var request = new RerankRequest("shop", "红 lamp", "u", null, null, Map.of("device", "phone"), 0.5, 100, candidates);
        assertEquals(
            "{\"index\":\"shop\",\"query\":\"红 lamp\",\"user_id\":\"u\",\"context\":{\"device\":\"phone\"},\"diversity\":0.5,"
                + "\"rank_window_size\":100,\"candidates\":[{\"id\":\"é\",\"bm25\":1.5,\"bm25_rank\":1},"
                + "{\"id\":\"b\",\"knn\":0.1,\"knn_rank\":1}]}",
            new String(request.encode(), StandardCharsets.UTF_8)
        );
    }

    @Test
    public void anAnswerIsReadWithItsModelAndReason() throws Exception {
        RerankAnswer answer = decode("{'took':1,'model':'v1','degraded':null,'items':[{'id':'b','score':-1},{'id':'a','score':-2.5}]}");
        assertEquals("v1", answer.model());
        assertEquals(List.of(new RerankAnswer.Item("b", -1f), new RerankAnswer.Item("a", -2.5f)), answer.items());
    }

    @Test
    public void rulesMayTakeCandidatesOutWhereTheAnswerNamesThem() throws Exception {
        RerankAnswer answer = decode("{'rules':['hide'],'items':[{'id':'b','score':1}]}");
        assertEquals(List.of(new RerankAnswer.Item("b", 1f)), answer.items());
        assertEquals(List.of(), decode("{'rules':['hide'],'items':[]}").items());
    }

    @Test
    public void anythingButEveryCandidateOnceWithFallingFiniteScoresIsRefused() {
        for (String wrong : List.of(
            "",
            "<html>",
            "[]",
            "{}",
            "{'items':null}",
            "{'items':[{'id':'a','score':1}]}",
            "{'rules':[],'items':[{'id':'a','score':1}]}",
            "{'rules':['hide'],'items':[{'id':'c','score':1}]}",
            "{'rules':['hide'],'items':[{'id':'a','score':1},{'id':'a','score':0}]}",
            "{'items':[{'id':'a','score':1},{'id':'a','score':0}]}",
            "{'items':[{'id':'a','score':1},{'id':'c','score':0}]}",
            "{'items':[{'id':'a','score':1},{'id':'b','score':2}]}",
            "{'items':[{'id':'a','score':1},{'id':'b','score':NaN}]}",
            "{'items':[{'id':'a','score':1},{'id':'b','score':'0'}]}",
            "{'items':[{'id':'a','score':1e99},{'id':'b','score':0}]}",
            "{'items':[{'id':'a','score':1},{'id':'b','score':0}]"
        )) {
            assertThrows(wrong, RerankAnswer.Wrong.class, () -> decode(wrong));
        }
    }

    private static RerankAnswer decode(String json) throws RerankAnswer.Wrong {
        return RerankAnswer.decode(json.replace('\'', '"').getBytes(StandardCharsets.UTF_8), Set.of("a", "b"));
    }
}
