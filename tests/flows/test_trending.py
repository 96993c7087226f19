"""What is trending, by the half life that an index says: on real servers, from events to lists."""

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
import requests
from elasticsearch import Elasticsearch

from compose.local.commands.events import command as events
from indexer.behaviour import state, store, trending
from indexer.catalogue import generation
from reranker.learning import moments
from reranker.learning.material import read as read_material
from tests.conftest import Stack
from tests.flows import behaviour, commands

HOUR = 3600.0
ARTICLES = [{"id": name, "title": f"news of {name}"} for name in ("yesterday", "today", "always")]
SHORT = "trending_half_life_hours: 6\n"


def reads(index: str, item: str, times: int, hours_ago: float) -> list[dict[str, Any]]:
    """So many readers within an hour, the last of them `hours_ago`."""
    now = time.time()
    return [
        {
            "application": index,
            "action_name": "view",
            "user_id": f"{item}-{hours_ago:g}-{n}",
            "timestamp": datetime.fromtimestamp(now - (hours_ago + n / times) * HOUR, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "event_attributes": {"object": {"object_id": item}},
        }
        for n in range(times)
    ]


def happened(index: str, folder: Path, *told: list[dict[str, Any]]) -> None:
    path = behaviour.ndjson(folder / "events.ndjson", *(it for some in told for it in some))
    behaviour.run(events, str(path))


def made(folder: Path, config: str = "") -> str:
    index = f"t{uuid.uuid4().hex[:12]}"
    commands.created(index, "--config", commands.config(folder, f"encoder: hashed:16\n{config}"))
    commands.sent(index, commands.feed(folder, *ARTICLES))
    return index


def trends(stack: Stack, index: str, **more: Any) -> list[str]:
    sent = {"index": index, "strategy": "trending", "size": 3, **more}
    said = requests.post(f"{stack.sidecar_url}/recommend", json=sent, timeout=30).json()
    assert said["degraded"] is None
    return [item["id"] for item in said["items"]]


def test_yesterdays_hit_is_overtaken_by_todays_where_the_half_life_is_short(
    stack: Stack, tmp_path: Path
) -> None:
    found = {}
    for name, config in (("usual", ""), ("short", SHORT)):
        index = made(tmp_path, config)
        yesterday, today = reads(index, "yesterday", 40, 24.0), reads(index, "today", 10, 0.0)
        happened(index, tmp_path, yesterday, today)
        found[name] = trends(stack, index)
    assert found == {"usual": ["yesterday", "today"], "short": ["today", "yesterday"]}


def test_what_somebody_dismissed_is_offered_to_others_alone(stack: Stack, tmp_path: Path) -> None:
    index = made(tmp_path)
    happened(index, tmp_path, reads(index, "yesterday", 9, 24.0), reads(index, "today", 3, 0.0))
    before = trends(stack, index)
    (deed,) = reads(index, before[0], 1, 0.0)
    told = [("keen", "add_to_cart"), ("keen", "dismiss"), ("tired", "dismiss")]
    deeds = [{**deed, "user_id": who, "action_name": name} for who, name in told]
    stack.run("events", str(behaviour.ndjson(tmp_path / "deeds.ndjson", *deeds)))  # by its own key
    assert trends(stack, index) == before == trends(stack, index, user_id="keen")
    for strategy in ("trending", "hybrid"):
        assert trends(stack, index, user_id="tired", strategy=strategy) == before[1:]


def test_training_sees_the_board_and_the_counts_that_serve(
    es: Elasticsearch, valkey: redis.Redis, tmp_path: Path
) -> None:
    index = made(tmp_path, SHORT)
    happened(index, tmp_path, reads(index, "yesterday", 9, 24.0), reads(index, "today", 3, 0.0))
    read = read_material(es, valkey, generation.resolve(es, index), None)
    last = read.events[-1].timestamp
    (seen,) = moments.replay(read.events, [last], half_life_hours=read.half_life_hours)
    keys = [trending.BOARD, *map(state.popularity_key, ("yesterday", "today"))]
    assert [seen.values[key] for key in keys] == store.read(valkey, index, keys)


def test_an_index_that_is_rebuilt_with_another_half_life_goes_on_with_what_is_known(
    stack: Stack, valkey: redis.Redis, tmp_path: Path
) -> None:
    index = made(tmp_path)
    steady = [reads(index, "always", 4, hours) for hours in range(0, 72, 6)]
    happened(index, tmp_path, reads(index, "yesterday", 40, 24.0), *steady)
    assert trends(stack, index) == ["always", "yesterday"]
    config = commands.config(tmp_path, f"encoder: hashed:16\n{SHORT}")
    commands.created(index, "--rebuild", "--config", config)
    happened(index, tmp_path, reads(index, "today", 20, 0.0))
    assert trends(stack, index) == ["today", "always", "yesterday"]
    (board,) = store.read(valkey, index, [trending.BOARD])
    scores = dict(trending.decode(board))
    assert list(scores) == ["today", "always", "yesterday"]


def test_where_nothing_is_sold_no_reason_says_so(stack: Stack, tmp_path: Path) -> None:
    index = made(tmp_path, "wording: media\nactions: {share: purchase, like: add_to_cart}\n")
    (one,), (other,) = (reads(index, item, 1, 0.0) for item in ("yesterday", "today"))
    named = [{**one, "action_name": "share"}, {**other, "action_name": "like"}]
    deeds = [{**deed, "user_id": "keen"} for deed in named]
    stack.run("events", str(behaviour.ndjson(tmp_path / "deeds.ndjson", *deeds)))
    for language, said, of_sales in (
        ("en", "You chose this before.", ("bought", "cart")),
        ("zh", "您以前选过。", ("买", "购")),
    ):
        context = {"language": language}
        sent = {"index": index, "user_id": "keen", "size": 2, "context": context}
        found = requests.post(f"{stack.sidecar_url}/recommend", json=sent, timeout=30).json()
        reasons = [item["reason"] for item in found["items"]]
        assert said in reasons
        assert not any(word in reason for word in of_sales for reason in reasons)
