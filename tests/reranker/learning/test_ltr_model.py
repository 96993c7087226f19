"""The exported ensemble scores as LightGBM does, in the form that Elasticsearch takes."""

import base64
import gzip
from collections.abc import Mapping
from typing import Any

import elastic_transport
import lightgbm
import numpy as np
import orjson
import pytest
from elasticsearch import Elasticsearch

from indexer.catalogue.mapping import IndexConfig
from reranker.learning import ltr_features, ltr_model

FEATURES = ltr_features.features(IndexConfig(fields={"price": "cost"}), {"popularity", "price"})
NAMES = list(FEATURES)


def rows(seed: int, count: int = 600) -> np.ndarray:
    drawn = np.random.default_rng(seed).gamma(1.0, 3.0, size=(count, len(NAMES)))
    return np.where(drawn < 1, 0, drawn).astype(np.float32)


def teacher(values: np.ndarray) -> np.ndarray:
    return values[:, 0] + 2 * np.sqrt(values[:, -1]) * (values[:, 1] > 2)


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    learned = rows(1)
    return ltr_model.fit(learned, teacher(learned), np.arange(0, 601, 30), NAMES, seed=3)


def score(definition: Mapping[str, Any], row: np.ndarray) -> float:
    """What Elasticsearch computes: the sum of each tree's leaf."""
    total = 0.0
    for model in definition["trained_model"]["ensemble"]["trained_models"]:
        nodes = {node["node_index"]: node for node in model["tree"]["tree_structure"]}
        node = nodes[0]
        while "leaf_value" not in node:
            assert node["decision_type"] == "lte"
            left = row[node["split_feature"]] <= node["threshold"]
            node = nodes[node["left_child" if left else "right_child"]]
        total += node["leaf_value"]
    return total


def test_the_exported_trees_score_as_lightgbm_does(booster: lightgbm.Booster) -> None:
    asked = rows(2, 300)
    said = orjson.loads(orjson.dumps(ltr_model.definition(booster, NAMES)))
    mine = np.array([score(said, row) for row in asked.astype(np.float64)])
    np.testing.assert_allclose(mine, booster.predict(asked), atol=1e-6)
    assert mine.std() > 0.1


def test_the_student_orders_unseen_lists_as_its_teacher(booster: lightgbm.Booster) -> None:
    unseen = rows(4, 3000)
    agreed = [
        np.argmax(booster.predict(part)) == np.argmax(teacher(part))
        for part in np.split(unseen, 100)
    ]
    assert np.mean(agreed) > 0.5  # by chance: 1 of 30


def test_grades_fall_with_the_place_in_each_list() -> None:
    scores = np.r_[np.arange(40.0), np.arange(40.0)[::-1]]
    found = ltr_model.grades(scores, np.array([0, 40, 80]))
    assert sorted(found[:40], reverse=True) == [4, 3, 3, *[2] * 7, *[1] * 20, *[0] * 10]
    assert found[39] == found[40] == 4


def test_every_feature_is_a_templated_query_with_a_default() -> None:
    config = ltr_features.model_config(FEATURES).to_dict()
    extractors = config["learning_to_rank"]["feature_extractors"]
    assert [it["query_extractor"]["feature_name"] for it in extractors] == NAMES
    assert all(it["query_extractor"]["default_score"] == 0.0 for it in extractors)
    assert {"all", "title_phrase", "popularity", "price"} <= set(NAMES)
    assert '"cost"' in orjson.dumps(FEATURES["price"]).decode()
    without = ltr_features.features(IndexConfig(), set())
    assert not {"popularity", "price"} & set(without)


def test_values_are_asked_with_the_query_in_every_template() -> None:
    body = ltr_features.values_of(FEATURES, 'red "card" {{query}}', ["a", "b"])
    named = body["query"]["bool"]["should"]
    assert [it["bool"]["_name"] for it in named] == NAMES
    asked = orjson.loads(orjson.dumps(named).replace(b'red \\"card\\" {{query}}', b"TYPED"))
    assert "{{query}}" not in orjson.dumps(asked).decode()
    assert asked[0]["bool"]["must"]["multi_match"]["query"] == "TYPED"
    assert body["query"]["bool"]["filter"] == {"ids": {"values": ["a", "b"]}}


class Recording(elastic_transport.Transport):
    """Takes everything, and keeps what was asked."""

    asked: list[tuple[str, str, Any]]

    def perform_request(self, method: str, target: str, **options: Any) -> Any:  # type: ignore[override]
        self.asked = [*getattr(self, "asked", []), (method, target, options.get("body"))]
        meta = elastic_transport.ApiResponseMeta(
            200,
            "1.1",
            elastic_transport.HttpHeaders(
                {"x-elastic-product": "Elasticsearch", "content-type": "application/json"}
            ),
            0.0,
            elastic_transport.NodeConfig("http", "recording", 9200),
        )
        return elastic_transport.TransportApiResponse(meta, {"version": {"number": "9.5.3"}})


def test_eland_sends_the_same_definition_and_feature_extractors(booster: lightgbm.Booster) -> None:
    """No import into a cluster: what would be sent is recorded."""
    config = ltr_features.model_config(FEATURES)
    es = Elasticsearch("http://recording:9200", transport_class=Recording)
    ltr_model.send(es, "goods-ltr", booster, config)
    method, target, body = es.transport.asked[-1]  # type: ignore[attr-defined]
    assert (method, target.split("?")[0]) == ("PUT", "/_ml/trained_models/goods-ltr")
    assert set(body) == {"inference_config", "compressed_definition"}
    assert body["inference_config"] == config.to_dict()
    sent = orjson.loads(gzip.decompress(base64.b64decode(body["compressed_definition"])))
    assert sent == orjson.loads(orjson.dumps(ltr_model.definition(booster, NAMES)))
    ensemble = sent["trained_model"]["ensemble"]
    assert ensemble["feature_names"] == NAMES
    assert ensemble["target_type"] == "regression"
    assert ensemble["aggregate_output"] == {"weighted_sum": {}}
    assert len(ensemble["trained_models"]) == booster.num_trees()
