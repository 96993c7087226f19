"""Experiments at work: which arm a search is answered by, and two rankers in one list.

No round trip is made: the arm is a hash of the unit. A search that is not recorded takes part only
where it names the experiment, so that measurements and previews see what everyone else sees.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from indexer.behaviour import event
from reranker.experiments import assignment, interleaving
from reranker.experiments.assignment import Ids
from reranker.experiments.experiment import INTERLEAVED, Arm, Experiment
from reranker.experiments.exposure import Exposure, Part
from reranker.retrieval.candidates import Candidates
from reranker.retrieval.request import Options
from reranker.serving import order
from reranker.serving.call import Call
from reranker.serving.process import Process
from reranker.serving.scoring import Fused

TEAMS, RANKS = "teams", "ranks"


def taking_part(process: Process, call: Call) -> Call:
    """The call as its experiment has it answered; the same one where it is in none."""
    options = call.request.options
    if not options.record and options.experiment is None:
        return call
    experiment = process.experiments.find(call.generation.index, options.experiment)
    if experiment is None:
        return call
    unit = assignment.unit_of(experiment.unit, _ids(call, process.pseudonym_key))
    if unit is None or not assignment.takes_part(experiment.seasoning, unit, experiment.traffic):
        return call
    window_max = process.settings.rank_window_max
    if experiment.kind == "interleave":
        return _both(call, experiment, unit, window_max)
    arm = experiment.arms[assignment.arm_of(experiment.seasoning, unit, experiment.shares)]
    part = Part(Exposure(experiment.name, arm.name), asked=options)
    return _answered_by(call, part, _options(options, arm, window_max))


def interleaved(
    part: Part, candidates: Candidates, both: Sequence[Fused], can_be_had: NDArray[np.bool_] | None
) -> tuple[Fused, Exposure]:
    """One list of two rankers' scores: falling scores along it, and whose hit is whose.

    What else was found is the first's that looked with a model.
    """
    one, other = (order.by_score(it.scores, available=can_be_had).rows.tolist() for it in both)
    mix = interleaving.balanced if part.balanced else interleaving.team_draft
    joint = mix(one, other, interleaving.coins(*part.coins))
    scores = np.empty(len(joint.rows), np.float32)
    scores[joint.rows] = np.linspace(1.0, 0.0, len(joint.rows), endpoint=False)
    fused = next((it for it in both if it.inputs is not None), both[0])
    degraded = next((it.degraded for it in both if it.degraded), None)
    if part.balanced:
        at = [{row: place for place, row in enumerate(rows, 1)} for rows in (one, other)]
        marks = {candidates.ids[row]: f"{at[0][row]},{at[1][row]}" for row in joint.rows}
    else:
        pairs = zip(joint.rows, joint.teams, strict=True)
        marks = {candidates.ids[row]: part.teams[team] for row, team in pairs}
    exposure = replace(part.exposure, marked=RANKS if part.balanced else TEAMS, marks=marks)
    return replace(fused, scores=scores, degraded=degraded), exposure


def _both(call: Call, experiment: Experiment, unit: str, window_max: int) -> Call:
    """The call asked widely enough for both rankers."""
    asked = call.request.options
    rankers = tuple(_options(asked, arm, window_max) for arm in experiment.arms)
    part = Part(
        Exposure(experiment.name, INTERLEAVED),
        asked=asked,
        rankers=rankers,
        teams=tuple(arm.name for arm in experiment.arms),
        balanced=experiment.method == "balanced",
        coins=(experiment.seasoning, unit, event.query_key(call.request.text)),
    )
    personal = any(it.mode == "fused" for it in rankers)
    window = max(it.window for it in rankers)
    return _answered_by(
        call, part, replace(rankers[0], mode="fused" if personal else "rrf", window=window)
    )


def _answered_by(call: Call, part: Part, options: Options) -> Call:
    return replace(call, request=replace(call.request, options=options), part=part)


def _options(asked: Options, arm: Arm, window_max: int) -> Options:
    """What the arm says in place of what was asked."""
    return replace(
        asked,
        mode=arm.mode or asked.mode,
        window=min(arm.rank_window_size or asked.window, window_max),
        diversity=asked.diversity if arm.diversity is None else arm.diversity,
        model=arm.model or asked.model,
    )


def _ids(call: Call, key: str) -> Ids:
    """Who searches, under the pseudonyms that the journal knows them by."""
    who = call.request.shopper
    return Ids(
        user=event.pseudonym(key, who.user_id) if who.user_id else None,
        client=event.client_pseudonym(key, who.client_id) if who.client_id else None,
        session=event.session_pseudonym(key, who.session_id) if who.session_id else None,
        query=call.query_id,
    )
