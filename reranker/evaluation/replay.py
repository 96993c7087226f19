"""Searches sent through the serving path, mode by mode: what a shop would have shown.

The only place of the evaluation that speaks HTTP. Every search says `record: false`, so measuring
neither fills the journal nor teaches the model. Connections are kept alive, so a latency is that
of a search and not of a handshake.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import orjson
import urllib3

from indexer.catalogue.generation import read_stamp
from indexer.errors import AnsweredWrongly, AskedWrongly, SidecarUnavailable, UnknownIndex

MODES = ("bm25", "knn", "rrf", "fused")
PERCENTILES = (50, 95, 99)
SHOWN_OF_AN_ERROR = 300


@dataclass(frozen=True, slots=True)
class Search:
    """One search; `user_id` as the shop knows the person, None for nobody."""

    text: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """How each search is asked. Several `fields` are asked as one multi_match."""

    url: str
    index: str
    fields: tuple[str, ...] = ("title",)
    size: int = 100
    window: int = 300
    concurrency: int = 2
    timeout_seconds: float = 30.0
    authorization: str | None = None

    def body(self, search: Search, mode: str, diversity: float | None = None) -> dict[str, Any]:
        """The request body of one search."""
        ubi = {"user_query": search.text}
        if search.user_id:
            ubi["user_id"] = search.user_id
        hitweave: dict[str, Any] = {
            "mode": mode,
            "record": False,
            "rank_window_size": self.window,
            **({} if diversity is None else {"diversity": diversity}),
        }
        return {
            "query": self._query(search.text),
            "size": self.size,
            "_source": False,
            "ext": {"ubi": ubi, "hitweave": hitweave},
        }

    def _query(self, text: str) -> dict[str, Any]:
        if len(self.fields) == 1:
            return {"match": {self.fields[0]: text}}
        return {"multi_match": {"query": text, "fields": list(self.fields)}}


@dataclass(frozen=True, slots=True)
class Answer:
    """Ids in the order shown, how long it took, and why it was less than it should be."""

    ids: tuple[str, ...]
    took_seconds: float
    degraded: str | None = None


class Sidecar:
    """A pool of kept-alive connections to one sidecar; a context manager."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self._pool = urllib3.connection_from_url(
            asking.url,
            maxsize=asking.concurrency,
            timeout=asking.timeout_seconds,
            # A server may close an idle connection just as it is used again.
            retries=urllib3.Retry(1, connect=0, redirect=0, allowed_methods=None),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.close()

    def replay(
        self,
        searches: Sequence[Search],
        mode: str,
        on_answer: Callable[[], None] = lambda: None,
        diversity: float | None = None,
    ) -> list[Answer]:
        """One answer a search, in their order; the first failure ends all.

        `diversity` is the dial; None leaves it to the index.
        """

        def one(search: Search) -> Answer:
            answer = self.ask(search, mode, diversity)
            on_answer()
            return answer

        pool = ThreadPoolExecutor(self.asking.concurrency)
        try:
            return list(pool.map(one, searches))
        finally:
            pool.shutdown(cancel_futures=True)

    def ask(self, search: Search, mode: str, diversity: float | None = None) -> Answer:
        """One search."""
        started = perf_counter()
        said = self.post("_search", self.asking.body(search, mode, diversity))
        took = perf_counter() - started
        try:
            ids = tuple(str(hit["_id"]) for hit in said["hits"]["hits"])
            return Answer(ids, took, (said.get("hitweave") or {}).get("degraded"))
        except (KeyError, TypeError) as error:
            raise AnsweredWrongly(
                f"{self.asking.url} answered a search without hits ({error!r}): "
                "is it a Hitweave sidecar?"
            ) from error

    def items(self) -> int:
        """How many items the index holds."""
        everything = {"query": {"match_all": {}}, "size": 0, "track_total_hits": True}
        said = self.post("_search", everything)
        return int(said["hits"]["total"]["value"])

    def searched_fields(self) -> tuple[str, ...]:
        """The fields that the index's configuration chose to search, else what it calls the title;
        our name for that where it stands for no one index of ours.
        """
        try:
            ((concrete, found),) = self._send("GET", "_mapping").items()
            stamped = read_stamp(self.asking.index, concrete, found["mappings"])
        except (AskedWrongly, ValueError):
            return ("title",)
        return stamped.config.chosen_search_fields or (stamped.config.theirs("title"),)

    def post(self, route: str, body: dict[str, Any]) -> dict[str, Any]:
        """The decoded answer of one request on the index; raises what the status means."""
        return self._send("POST", route, orjson.dumps(body))

    def _send(self, method: str, route: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self.asking.authorization:
            headers["Authorization"] = self.asking.authorization
        path = f"/{quote(self.asking.index, safe=',*')}/{route}"
        try:
            answer = self._pool.urlopen(method, path, body, headers)
        except urllib3.exceptions.HTTPError as error:
            raise SidecarUnavailable(
                f"the sidecar does not answer at {self.asking.url} ({type(error).__name__}): "
                "start it (`hitweave up`) or say --url"
            ) from error
        if answer.status != HTTPStatus.OK:
            raise self._failure(answer.status, answer.data)
        decoded: dict[str, Any] = orjson.loads(answer.data)
        return decoded

    def _failure(self, status: int, data: bytes) -> Exception:
        why = f"HTTP {status}: {data[:SHOWN_OF_AN_ERROR].decode(errors='replace')}"
        if status == HTTPStatus.NOT_FOUND:
            return UnknownIndex(f"there is no index {self.asking.index!r}: {why}")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return AskedWrongly(f"the sidecar refused the search: {why}")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return SidecarUnavailable(f"the sidecar or a server behind it is not ready: {why}")
        return AnsweredWrongly(f"the sidecar failed: {why}")


def latency_ms(answers: Sequence[Answer]) -> dict[str, float]:
    """Percentiles over all searches; empty where there was none."""
    took = sorted(answer.took_seconds for answer in answers)
    if not took:
        return {}
    last = len(took) - 1
    return {f"p{p}": round(took[min(last, len(took) * p // 100)] * 1e3, 2) for p in PERCENTILES}


def degraded_reasons(answers: Sequence[Answer]) -> dict[str, int]:
    """How many answers were less than they should be, by reason."""
    reasons: dict[str, int] = {}
    for answer in answers:
        if answer.degraded:
            reasons[answer.degraded] = reasons.get(answer.degraded, 0) + 1
    return reasons
