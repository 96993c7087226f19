"""`python -m tests.bench.films --data FOLDER --out FOLDER`: what is measured on films, as files.

FOLDER of --data has MSRD's films and judged queries (`movies.jsonl.gz`: id, title, overview,
director, genres, ...; `judgements-dev.tsv.gz`: query, doc_id, grade) and MovieLens' ratings
(`ratings.csv.gz`: userId, tmdbId, rating, timestamp). Into --out are written, the same each time:

    films.yml, films.jsonl       configuration and catalogue
    ratings.ndjson               every rating: from 4 on a purchase, below a view; a visit is a day
    likings-before.ndjson, -after.ndjson   purchases alone, each person's last fifth in the second
    last-before.ndjson, -after.ndjson      the same with each person's last one
    half-a.tsv, half-b.tsv       the judged queries by the hash of their words
    cases-known.jsonl, -nobody.jsonl       likings of the last fifth, at most two a person and 1,000
        in all: queries 0 the last word of the title, 1 two words of the overview, 2 three in a row

The last line of standard output is one JSON object of how many of each.
"""

import argparse
import csv
import gzip
import hashlib
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LIKED = 4.0
PURCHASE, VIEW = "purchase", "view"
A_PERSON, CASES_MAX = 2, 1_000
SEED = 4
WORD = re.compile(r"[A-Za-z]{5,}")
CONFIG = """\
analyzer: english
fields: {description: overview, brand: director, categories: genres}
search_fields: ["title^3", "overview", "director.text", "genres.text"]
"""
Event = Mapping[str, Any]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.films")
    parser.add_argument("--data", type=Path, required=True, help="Films, judgements, ratings.")
    parser.add_argument("--out", type=Path, required=True, help="Where the files go.")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    told = dict(written(args.data, args.out))
    print(json.dumps(told))


def written(data: Path, out: Path) -> Iterator[tuple[str, int]]:
    """Names of the files written, and how many lines each has."""
    films = {film["id"]: film for film in map(json.loads, unpacked(data / "movies.jsonl.gz"))}
    (out / "films.yml").write_text(CONFIG)
    yield lines(out / "films.jsonl", map(json.dumps, films.values()))
    events = sorted(deeds(data / "ratings.csv.gz", films), key=lambda it: str(it["timestamp"]))
    yield lines(out / "ratings.ndjson", map(json.dumps, events))
    likings = [it for it in events if it["action_name"] == PURCHASE]
    for name, share in (("last", 0.0), ("likings", 0.2)):
        before, after = split(likings, share)
        yield lines(out / f"{name}-before.ndjson", map(json.dumps, before))
        yield lines(out / f"{name}-after.ndjson", map(json.dumps, after))
    for name, known in (("known", True), ("nobody", False)):
        cases = [it if known else {**it, "user_id": None} for it in asked(after, films)]
        yield lines(out / f"cases-{name}.jsonl", map(json.dumps, cases))
    head, *judged = unpacked(data / "judgements-dev.tsv.gz")
    column = head.split("\t").index("query")
    for half, name in enumerate("ab"):
        of_it = [line for line in judged if half_of(line.split("\t")[column]) == half]
        yield lines(out / f"half-{name}.tsv", [head, *of_it])


def unpacked(path: Path) -> list[str]:
    """The lines of a packed file."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def lines(path: Path, content: Iterable[str]) -> tuple[str, int]:
    """Write lines; the file's name and how many."""
    found = list(content)
    path.write_text("".join(f"{line}\n" for line in found))
    return path.name, len(found)


def deeds(path: Path, films: Mapping[str, Any]) -> Iterator[Event]:
    """A deed for each rating of a film that is there."""
    for row in csv.DictReader(unpacked(path)):
        item = str(int(float(row["tmdbId"]))) if row["tmdbId"] else ""
        if item not in films:
            continue
        moment = datetime.fromtimestamp(int(row["timestamp"]), UTC).isoformat()
        yield {
            "application": "films",
            "action_name": PURCHASE if float(row["rating"]) >= LIKED else VIEW,
            "timestamp": moment,
            "user_id": row["userId"],
            "session_id": f"{row['userId']}/{moment[:10]}",
            "event_attributes": {"object": {"object_id": item, "object_id_field": "id"}},
        }


def split(events: Sequence[Event], share: float) -> tuple[list[Event], list[Event]]:
    """Events before and after: of who has two or more the last `share`, one at the least."""
    own: dict[str, list[int]] = defaultdict(list)
    for row, event in enumerate(events):
        own[event["user_id"]].append(row)
    late = {
        row
        for rows in own.values()
        if len(rows) > 1
        for row in rows[-max(round(share * len(rows)), 1) :]
    }
    before = [event for row, event in enumerate(events) if row not in late]
    return before, [event for row, event in enumerate(events) if row in late]


def asked(events: Sequence[Event], films: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cases of liked films, in words of title and overview."""
    drawn = random.Random(SEED)  # noqa: S311 - no secret
    events, so_far, found = list(events), Counter[str](), []
    drawn.shuffle(events)
    for event in events:
        user, film = event["user_id"], films[event["event_attributes"]["object"]["object_id"]]
        words = WORD.findall((film.get("overview") or "").lower())
        if so_far[user] == A_PERSON or len(words) < 3:
            continue
        so_far[user] += 1
        first = drawn.randrange(len(words) - 2)
        told = {"user_id": user, "timestamp": event["timestamp"], "target": film["id"]}
        parts = (drawn.sample(words, 2), words[first : first + 3])
        queries = [film["title"].split()[-1].lower(), *map(" ".join, parts)]
        found.append({**told, "queries": queries})
    return found[:CASES_MAX]


def half_of(query: str) -> int:
    """0 or 1, by the hash of the words."""
    return int(hashlib.sha256(f"half {query}".encode()).digest()[0] >= 128)


if __name__ == "__main__":
    main()
