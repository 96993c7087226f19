"""Experiments measured from the journal: the only part of them that reads it."""

from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError

from indexer.behaviour import journal
from indexer.errors import ElasticsearchUnavailable
from reranker.experiments import report
from reranker.experiments.experiment import Trial
from reranker.experiments.plan import Rehearsal, Wish
from reranker.experiments.replay import Replay
from reranker.experiments.tally import Tally


def reported(es: Elasticsearch, trial: Trial, now: float) -> dict[str, Any]:
    """The report of an experiment as of `now` (seconds), in one pass over the journal."""
    past, since, until = report.span(trial, now)
    tally = Tally(trial.experiment, since)
    if trial.started_at is not None:
        _read(es, trial.experiment.index, past, until, tally)
    return report.of(trial, tally.counted(), now)


def planned(es: Elasticsearch, wish: Wish, now: float) -> dict[str, Any]:
    """What an experiment would find, by the weeks before `now` (seconds)."""
    rehearsal = Rehearsal(wish, now)
    _read(es, wish.index, rehearsal.since, now, rehearsal)
    return rehearsal.result()


def replayed(es: Elasticsearch, wish: Wish, now: float, days: float, salts: int) -> dict[str, Any]:
    """What so many A/A tests of the days before `now` (seconds) would have found."""
    replay = Replay(wish, now, days)
    _read(es, wish.index, replay.since, now, replay)
    said = {"index": wish.index, "metric": wish.metric, "unit": wish.unit, "days": days}
    return {**said, **replay.result(salts)}


def _read(
    es: Elasticsearch, index: str, since: float, until: float, taker: Tally | Rehearsal | Replay
) -> None:
    try:
        for document in journal.measured(es, index, since, until):
            taker.take(document)
    except (ApiError, TransportError) as error:
        raise ElasticsearchUnavailable(
            f"the journal cannot be read ({type(error).__name__}): see whether Elasticsearch is up"
        ) from error
