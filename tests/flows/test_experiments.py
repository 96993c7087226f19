"""Experiments through the real sidecar: arms kept, exposures counted, clicks credited."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from tests.conftest import Stack
from tests.flows.editor import Editor, everywhere
from tests.flows.test_search import MATCH, ids, own, raw
from tests.flows.worker_process import wait_until
from tests.gateway.test_pages import replace_a_process

USERS = [f"shopper-{number}" for number in range(30)]
ARMS = [{"name": "words", "mode": "bm25"}, {"name": "meaning", "mode": "knn"}]
SIZE = 6


class Lab(Editor):
    """Whoever runs experiments on the shop."""

    route = "_experiments"

    def __init__(self, stack: Stack, gateway: Elasticsearch, index: str) -> None:
        super().__init__(stack, index)
        self.gateway = gateway

    def run(self, name: str, **definition: Any) -> None:
        """Draft and start, and wait until every process of the sidecar knows it."""
        status, answer = self.ask("PUT", f"/{name}", {"arms": ARMS, **definition})
        assert (status, answer["status"]) == (200, "draft"), answer
        status, answer = self.ask("POST", f"/{name}/_start", {})
        assert (status, answer["status"]) == (200, "running"), answer
        self.wait(name, runs=True)

    def stop(self, name: str) -> None:
        """End it everywhere."""
        assert self.ask("POST", f"/{name}/_stop", {})[1]["status"] == "stopped"
        self.wait(name, runs=False)

    def wait(self, name: str, *, runs: bool) -> None:
        """Until every process of the sidecar knows."""

        def known() -> bool:
            seen = "experiment" in self.search("probe", name=name, record=False)["hitweave"]
            return seen == runs

        everywhere(known)

    def search(self, user: str, *, name: str | None = None, start: int = 0, **more: Any) -> Any:
        """One search of a user, recorded unless said otherwise."""
        ubi = {"user_id": user, **more.pop("ubi", {})}
        hitweave = {**({} if name is None else {"experiment": name}), **more}
        ext = {"ubi": ubi, "hitweave": hitweave}
        return self.gateway.search(
            index=self.index, query=MATCH, size=SIZE, from_=start, ext=ext
        ).body

    def click(self, user: str, answer: Any, item: str, **fields: Any) -> None:
        """A deed with what a search has shown."""
        said = {
            "application": self.index,
            "action_name": "click",
            "user_id": user,
            "query_id": answer["ext"]["ubi"]["query_id"],
            "event_attributes": {"object": {"object_id": item}, **fields.pop("attributes", {})},
            **fields,
        }
        assert raw(self.stack, "POST", "/events", said)[0] == 202

    def report(self, name: str) -> Any:
        """What has been found so far."""
        status, answer = self.ask("GET", f"/{name}/_report")
        assert status == 200, answer
        return answer


@pytest.fixture
def lab(stack: Stack, gateway: Elasticsearch, index: str) -> Iterator[Lab]:
    """Nothing runs before, nothing is left running."""
    made = Lab(stack, gateway, index)
    yield made
    for it in made.ask("GET")[1]["experiments"]:
        if it["status"] == "running":
            made.stop(it["name"])


def test_everyone_keeps_an_arm_and_the_report_counts_them(
    lab: Lab, gateway: Elasticsearch, index: str, tmp_path: Path
) -> None:
    orders = {
        arm["name"]: ids(
            gateway.search(index=index, query=MATCH, size=2 * SIZE, ext=own(arm["mode"]))
        )
        for arm in ARMS
    }
    assert orders["words"] != orders["meaning"]
    lab.run("order", metrics=["ctr", "purchase_rate", "revenue"])
    first = {user: lab.search(user, name="order", record=False) for user in USERS}
    arms = {user: str(it["hitweave"]["experiment"]["arm"]) for user, it in first.items()}
    assert set(arms.values()) == set(orders)
    replace_a_process(lab.stack)
    for user in USERS:
        for _ in range(2):
            answer = lab.search(user)
            assert answer["hitweave"]["experiment"] == {"name": "order", "arm": arms[user]}
            assert ids(answer) == orders[arms[user]][:SIZE]
        second = lab.search(user, start=SIZE)
        assert ids(second) == orders[arms[user]][SIZE:]
        if arms[user] == "meaning":
            lab.click(user, answer, ids(answer)[0])
            bought = {"price": 20.0, "quantity": 2}
            lab.click(user, answer, ids(answer)[0], action_name="purchase", attributes=bought)
    # What is not recorded and names none is answered like everyone before.
    assert "experiment" not in lab.search(USERS[0], record=False)["hitweave"]
    share = {name: list(arms.values()).count(name) for name in orders}

    def all_is_there() -> bool:
        found = lab.report("order")
        ctr, bought, earned = (it["values"] for it in found["metrics"])
        return (
            found["units"] == share
            and found["searches"] == {name: 2 * count for name, count in share.items()}
            and ctr == {"words": 0.0, "meaning": 0.5}
            and bought == {"words": 0.0, "meaning": 1.0}
            and earned == {"words": 0.0, "meaning": 40.0}
        )

    wait_until(all_is_there, seconds=60)
    found = lab.report("order")
    assert (found["crossed"], found["sample_ratio"]["alarm"]) == (0, False)
    assert found["guardrails"][0]["values"]["words"] > 0  # milliseconds
    assert "Too early" in found["verdict"][0]
    for wanted, sign in (("markdown", b"# order on"), ("html", b"<h1>order on")):
        status, text = lab.ask("GET", f"/order/_report?format={wanted}")
        assert status == 200
        assert sign in text
    said = lab.stack.run_json("experiments", "report", "order", "--index", index)
    assert (said["units"], said["metrics"]) == (found["units"], found["metrics"])
    lab.stop("order")
    assert "experiment" not in lab.search(USERS[0])["hitweave"]
    assert lab.report("order")["units"] == share


def test_two_rankers_in_one_list_are_told_apart_by_clicks(lab: Lab) -> None:
    lab.run("mix", kind="interleave", named_only=True)
    starts = []
    for user in USERS:
        assert "experiment" not in lab.search(user)["hitweave"]
        query = {"query_id": f"mix-{user}-{uuid.uuid4().hex}"}
        answer = lab.search(user, name="mix", ubi=query)
        told = answer["hitweave"]["experiment"]
        assert (told["arm"], len(told["teams"])) == ("interleaved", SIZE)
        for pair in range(0, SIZE, 2):
            assert set(told["teams"][pair : pair + 2]) == {"words", "meaning"}
        scores = [hit["_score"] for hit in answer["hits"]["hits"]]
        assert scores == sorted(scores, reverse=True)
        further = lab.search(user, name="mix", start=SIZE, ubi=query)
        assert not set(ids(further)) & set(ids(answer))
        both = [*zip(ids(answer), told["teams"], strict=True)]
        both += zip(ids(further), further["hitweave"]["experiment"]["teams"], strict=True)
        again = lab.search(user, name="mix", record=False)
        assert ids(again) == ids(answer)
        starts.append(told["teams"][0])
        lab.click(user, answer, next(item for item, team in both[SIZE:] if team == "meaning"))
    assert set(starts) == {"words", "meaning"}

    def all_is_there() -> bool:
        found = lab.report("mix")
        return bool(
            found["units"] == {"words+meaning": len(USERS)}
            and found["searches"] == {"words+meaning": len(USERS)}
            and found["preference"]["clicked_searches"] == len(USERS)
            and found["preference"]["difference"] == 1.0
        )

    wait_until(all_is_there, seconds=60)


def test_the_order_of_pages_outlives_its_experiment(lab: Lab) -> None:
    lab.run("brief", kind="interleave", method="balanced")
    query = {"query_id": f"brief-{uuid.uuid4().hex}"}
    first = lab.search("someone", ubi=query)
    assert all("," in ranks for ranks in first["hitweave"]["experiment"]["ranks"])
    lab.stop("brief")
    rest = [lab.search("someone", ubi=query, start=start) for start in range(SIZE, 60, SIZE)]
    seen = [item for page in (first, *rest) for item in ids(page)]
    assert len(seen) == len(set(seen)) == 60
    assert {page["hitweave"]["experiment"]["name"] for page in rest} == {"brief"}


def test_rules_hold_in_every_arm(lab: Lab) -> None:
    rule = {
        "when": {"query": {"words": "lamp"}},
        "then": {"pin": [{"id": "other-2", "position": 1}]},
    }
    path = f"/{lab.index}/_rules"
    assert raw(lab.stack, "PUT", f"{path}/top", rule)[0] == 200
    assert raw(lab.stack, "POST", f"{path}/_publish", {})[0] == 200
    try:
        lab.run("ruled", kind="interleave")

        def pinned() -> bool:
            answer = lab.search(USERS[0])
            teams = answer["hitweave"]["experiment"]["teams"]
            return ids(answer)[0] == "other-2" and None not in teams[1:]

        wait_until(pinned, seconds=30)
    finally:
        raw(lab.stack, "DELETE", f"{path}/top")
        raw(lab.stack, "POST", f"{path}/_publish", {})


def test_sessions_and_searches_can_be_units(lab: Lab) -> None:
    lab.run("visits", unit="session", named_only=True)
    arms: dict[str, set[str]] = {}
    for session in (f"visit-{number}" for number in range(12)):
        for user in USERS[:3]:
            answer = lab.search(user, name="visits", ubi={"session_id": session}, record=False)
            arms.setdefault(session, set()).add(answer["hitweave"]["experiment"]["arm"])
    assert all(len(seen) == 1 for seen in arms.values())
    assert len(set.union(*arms.values())) == 2
    lab.run("searches", unit="query", named_only=True)
    told = [lab.search("one", name="searches", record=False)["hitweave"] for _ in range(30)]
    assert {it["experiment"]["arm"] for it in told} == {"words", "meaning"}


def test_who_has_no_id_is_in_no_experiment(lab: Lab, gateway: Elasticsearch, index: str) -> None:
    lab.run("known")
    assert "experiment" not in gateway.search(index=index, query=MATCH)["hitweave"]


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"arms": [ARMS[0]]}, "arms"),
        ({"arms": [ARMS[0], {"name": "words"}]}, "name of its own"),
        ({"arms": [*ARMS, {"name": "third"}], "kind": "interleave"}, "two rankers"),
        ({"arms": [ARMS[0], {"name": "b", "mode": "off"}]}, "bm25"),
        ({"arms": ARMS, "metrics": ["happiness"]}, "happiness"),
        ({"arms": ARMS, "colour": "red"}, "colour is no key"),
    ],
)
def test_what_cannot_be_an_experiment_is_refused(
    lab: Lab, definition: dict[str, Any], said: str
) -> None:
    status, answer = lab.ask("PUT", "/wrong", definition)
    assert status == 400
    assert said in answer["error"]["reason"]
    assert lab.ask("GET", "/wrong")[0] == 404


@pytest.mark.parametrize("rest", ["", "/_start", "/_stop", "/_report"])
def test_an_experiment_that_nobody_drafted_is_not_there(lab: Lab, rest: str) -> None:
    method, body = ("POST", {}) if rest in ("/_start", "/_stop") else ("GET", None)
    status, answer = lab.ask(method, f"/unheard-of{rest}", body)
    assert (status, answer["error"]["type"]) == (404, "resource_not_found_exception")
    assert "unheard-of" in answer["error"]["reason"]


def test_an_arm_whose_model_is_not_there_is_not_started(lab: Lab) -> None:
    arms = [ARMS[0], {"name": "trained", "model": "20200101T000000"}]
    assert lab.ask("PUT", "/future", {"arms": arms, "named_only": True})[0] == 200
    said = "arm trained asks for the model '20200101T000000'"
    status, answer = lab.ask("POST", "/future/_start", {})
    assert status == 400
    assert said in answer["error"]["reason"]
    assert "there are: none" in answer["error"]["reason"]
    refused = lab.stack.run("experiments", "start", "future", "--index", lab.index, check=False)
    assert (refused.returncode, said in refused.stderr) == (2, True)
    assert lab.ask("GET", "/future")[1]["status"] == "draft"


def test_what_was_started_is_never_changed(lab: Lab, tmp_path: Path) -> None:
    lab.run("fixed")
    status, answer = lab.ask("PUT", "/fixed", {"arms": ARMS, "alpha": 0.1})
    assert (status, "another name" in answer["error"]["reason"]) == (400, True)
    assert lab.ask("DELETE", "/fixed")[0] == 400
    file = tmp_path / "second.yaml"
    file.write_text(json.dumps({"arms": ARMS}))
    name = ("second", "--index", lab.index)
    assert lab.stack.run_json("experiments", "draft", "second", str(file), *name[1:])
    refused = lab.stack.run("experiments", "start", *name, check=False)
    assert (refused.returncode, "fixed runs" in refused.stderr) == (2, True)
    lab.stop("fixed")
    assert lab.stack.run_json("experiments", "start", *name)["status"] == "running"
    assert lab.stack.run_json("experiments", "stop", *name)["status"] == "stopped"
    assert lab.ask("DELETE", "/second")[0] == 200


def test_a_plan_tells_what_the_last_weeks_would_have_found(lab: Lab, index: str) -> None:
    status, answer = lab.ask("GET", "/_plan?metric=ctr&effect=0.05")
    assert status == 200, answer
    assert [it["days"] for it in answer["windows"]] == [7, 14, 28]
    said = lab.stack.run_json("experiments", "plan", "--index", index, "--effect", "0.1")
    assert said["effect"] == 0.1
    again = lab.stack.run_json("experiments", "replay", "--index", index, "--salts", "20")
    assert (again["salts"], again["alarms"]) == (20, 0)
    status, answer = lab.ask("GET", "/_plan?metric=happiness")
    assert (status, "use one of ctr, " in answer["error"]["reason"]) == (400, True)
    assert lab.ask("GET", "/_plan?effect=-2")[0] == 400
    assert lab.ask("GET", "/_plan?effect=0")[0] == 400


def test_only_editors_see_and_change_experiments(lab: Lab) -> None:
    for method, rest in (
        *(("GET", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x"), ("POST", "/x/_start")),
        *(("POST", "/x/_stop"), ("GET", "/x/_report"), ("GET", "/_plan")),
    ):
        body = None if method == "GET" else {}
        status, _ = lab.ask(method, rest, body, **{"X-Forwarded-For": "192.0.2.1"})
        assert status == 403, (method, rest)
    status, page = lab.ask("GET", "", None, Accept="text/html")
    assert (status, b"Experiments of" in page) == (200, True)
