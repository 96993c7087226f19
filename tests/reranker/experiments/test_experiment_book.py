"""Which experiment a search is in, as one process knows it."""

from typing import Any

from indexer.errors import ElasticsearchUnavailable
from reranker.experiments.experiment import Experiment, Trial
from reranker.experiments.experiment_book import ExperimentBook


class Shelf:
    """A store that answers what it is told to."""

    def __init__(self, *trials: Trial) -> None:
        self.trials = list(trials)
        self.is_away = False

    def all(self, index: str | None = None, status: str | None = None) -> list[Trial]:
        if self.is_away:
            raise ElasticsearchUnavailable("away")
        return [it for it in self.trials if status in (None, it.status)]


def trial(name: str, index: str = "shop", **more: Any) -> Trial:
    arms = [{"name": "a", "model": "v1"}, {"name": "b"}]
    experiment = Experiment.model_validate({"name": name, "index": index, "arms": arms, **more})
    return Trial(experiment, "running", "2026-01-01T00:00:00.000Z")


def book(shelf: Shelf) -> ExperimentBook:
    made = ExperimentBook(shelf, poll_seconds=60)  # type: ignore[arg-type]
    made.look()
    return made


def name_of(found: Experiment | None) -> str | None:
    return None if found is None else found.name


def test_a_search_is_in_what_it_names_or_in_what_is_for_everyone() -> None:
    known = book(Shelf(trial("named", named_only=True), trial("open"), trial("far", "other")))
    assert name_of(known.find("shop", None)) == "open"
    assert name_of(known.find("shop", "named")) == "named"
    assert known.find("shop", "far") is None
    assert known.find("shop", "") is None
    assert name_of(known.find("other", None)) == "far"
    assert known.find("third", None) is None


def test_of_two_for_everyone_the_first_one_started_goes_on() -> None:
    assert name_of(book(Shelf(trial("first"), trial("second"))).find("shop", None)) == "first"


def test_models_of_what_runs_are_asked_for() -> None:
    shelf = Shelf(trial("one"))
    known = book(shelf)
    assert known.models() == {("shop", "v1")}
    shelf.trials.clear()
    known.look()
    assert known.models() == set()


def test_while_elasticsearch_is_away_what_ran_goes_on() -> None:
    shelf = Shelf(trial("one"))
    known = book(shelf)
    shelf.is_away = True
    known._try_to_look()
    assert name_of(known.find("shop", None)) == "one"
    shelf.is_away = False
    shelf.trials.clear()
    known._try_to_look()
    assert known.find("shop", None) is None


def test_by_default_no_two_experiments_share_a_salt() -> None:
    one, other, far = (trial(*it).experiment for it in (("x",), ("y",), ("x", "other")))
    assert len({one.seasoning, other.seasoning, far.seasoning}) == 3
    assert trial("x", salt="kept").experiment.seasoning == "kept"
