"""Worker, Valkey and sidecar are killed amid events: none is lost, none counts twice."""

from pathlib import Path

import redis
from elasticsearch import Elasticsearch

from compose.local.home import Home
from tests.bench import killing
from tests.bench.killing import PARTS, Post, Stores
from tests.conftest import Stack
from tests.flows import behaviour

EVENTS, KILLS, SEED = 2000, len(PARTS), 3


def test_killing_any_part_loses_and_doubles_no_event(
    stack: Stack, es: Elasticsearch, valkey: redis.Redis, index_name: str, tmp_path: Path
) -> None:
    config = tmp_path / "index.yaml"
    config.write_text("encoder: hashed:64\n")
    stack.run("create", index_name, "--config", str(config))
    home, sent = Home(stack.home), killing.events(index_name, EVENTS)
    killed = killing.amid_killings(home, Post(stack.sidecar_url), sent, KILLS, SEED)
    assert {*killed} == {*PARTS}
    stores = Stores(home, es, valkey, index_name)
    stores.wait_until_folded()
    right = {
        "events journalled": EVENTS,
        "events folded": EVENTS,
        "items' counts that differ": 0,
        "shoppers' counts that differ": 0,
        "requests set aside": 0,
    }
    assert stores.faults(sent) == right
    before = behaviour.state(valkey, index_name)
    Post(stack.sidecar_url).all(sent, batch=50, threads=4)
    stores.wait_until_folded()
    assert behaviour.state(valkey, index_name) == before
    assert stores.faults(sent) == right
