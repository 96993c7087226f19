"""`torchrun --nproc-per-node=N -m reranker.learning INDEX`: one training run over N processes.

The first rank does what `hitweave train` does and prints its one JSON object; the others help.
"""

import argparse
import sys
from pathlib import Path

import orjson

from indexer import settings, telemetry
from indexer.errors import HitweaveError
from reranker.learning.launch import Asked, among_ranks
from reranker.learning.schedule import SCHEDULES


def asked() -> Asked:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m reranker.learning", description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--until")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--schedule", choices=tuple(SCHEDULES), default="full")
    parser.add_argument(
        "--warm", action="store_true", help="Begin with the weights of what serves."
    )
    parser.add_argument("--judgements", type=Path)
    parser.add_argument("--forget-judgements", action="store_true")
    said = parser.parse_args()
    return Asked(
        index=said.index,
        until=said.until,
        config=said.config,
        named=said.schedule,
        warm=said.warm,
        judgements=said.judgements,
        forget=said.forget_judgements,
    )


def main() -> None:
    """Take part in a run; errors of ours become one line and their exit code."""
    try:
        telemetry.configure(settings.load())
        answer = among_ranks(asked())
    except HitweaveError as error:
        sys.stderr.write(f"hitweave: {error.message}\n")
        sys.exit(error.exit_code)
    if answer is not None:
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")


if __name__ == "__main__":
    main()
