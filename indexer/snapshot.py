"""Every document that matches, as it stood at one moment, a page at a time.

All of them or an error: a shard that does not answer is never left out.
"""

from collections.abc import Iterator
from typing import Any

from elasticsearch import Elasticsearch


def pages(
    es: Elasticsearch, index: str, size: int, *, kept: str, **asked: Any
) -> Iterator[list[dict[str, Any]]]:
    """Hits in pages of `size`; `kept` is how long one page may take to be worked on.

    What else is asked holds `query` and `sort`; a `filter_path` must leave `pit_id` and the sort.
    """
    point = es.open_point_in_time(index=index, keep_alive=kept)["id"]
    after: list[Any] | None = None
    try:
        while True:
            answer = es.search(
                pit={"id": point, "keep_alive": kept},
                size=size,
                search_after=after,
                track_total_hits=False,
                allow_partial_search_results=False,
                **asked,
            )
            hits: list[dict[str, Any]] = answer.get("hits", {}).get("hits", [])
            if hits:
                yield hits
            if len(hits) < size:
                return
            point, after = answer["pit_id"], hits[-1]["sort"]
    finally:
        es.close_point_in_time(id=point)
