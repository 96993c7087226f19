"""A small fit as a process of its own, to be killed or to be one of several; not a test.

`python -m tests.reranker.learning.one_fit FOLDER [KILL_AFTER_LISTS]`: weights go to
FOLDER/weights-RANK.pt, checkpoints to FOLDER/work.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from reranker.learning import fit, measure
from reranker.learning.checkpoint import Checkpoints
from reranker.learning.course import Fitted
from reranker.learning.distributed import Ranks, from_environment
from reranker.learning.equipment import Equipment
from reranker.learning.network import FusionNetwork
from reranker.learning.schedule import Schedule
from tests.reranker.learning.lists import list_set, vectors

SCHEDULE = Schedule(
    width=16, layers=1, attention_heads=2, batch_lists=5, dropout=0.2, epochs=3, patience=3
)
CPU = torch.device("cpu")


def fitted(
    schedule: Schedule,
    progress: Callable[[int], None] = lambda _: None,
    equipment: Equipment | None = None,
) -> Fitted:
    train, held_out = list_set(301, seed=1), list_set(60, seed=2)
    trained = fit.heads_of(train, schedule.head_weights)

    def mrr(network: FusionNetwork) -> float:
        scores = fit.score([network], held_out, vectors(), trained.weights)
        return float(measure.reciprocal(scores, held_out).mean())

    return fit.fit(
        fit.new_network(train, vectors(), schedule, 4),
        train,
        vectors(),
        schedule,
        epochs=schedule.epochs,
        learning_rate=5e-3,
        seed=4,
        trained=trained,
        measure=mrr,
        progress=progress,
        equipment=equipment,
    )


def dying(after: int) -> Callable[[int], None]:
    seen = 0

    def progress(count: int) -> None:
        nonlocal seen
        seen += count
        if seen >= after:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def part_of(folder: Path, ranks: Ranks) -> Fitted:
    """Of a fit over several processes, without dropout: its random numbers are each rank's own."""
    if not ranks.leads:
        (found,) = fit.follow(ranks, CPU)
        return found
    plain = SCHEDULE.model_copy(update={"dropout": 0.0})
    found = fitted(plain, equipment=Equipment(CPU, ranks, Checkpoints(folder / "work")))
    ranks.share(None)
    return found


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with from_environment(CPU) as ranks:
        if ranks.size > 1:
            found = part_of(folder, ranks)
        else:
            progress = dying(int(sys.argv[2])) if len(sys.argv) > 2 else lambda _: None
            found = fitted(SCHEDULE, progress, Equipment(checkpoints=Checkpoints(folder / "work")))
        kept = {
            "weights": found.network.state_dict(),
            "losses": found.losses,
            "held_out": found.held_out,
        }
        torch.save(kept, folder / f"weights-{ranks.rank}.pt")


if __name__ == "__main__":
    main()
