"""`hitweave policy INDEX`: learn a slate policy, promote it if the log says that it earns more."""

import time
from datetime import UTC, datetime

import click
import orjson

from indexer import connections, settings


@click.command("policy")
@click.argument("index")
@click.option("--episodes", type=click.IntRange(min=10), default=2000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def command(index: str, episodes: int, rounds: int, seed: int) -> None:
    """Learn a slate policy of INDEX for clicks, purchases, variety and shoppers who come back.

    It learns from simulated shoppers, fitted to the purchases in the journal: so many EPISODES that
    are answered without it, then ROUNDS of as many that it answers itself; and from searches
    recorded with HITWEAVE_EXPLORATION_SHARE above 0. It is promoted only if SNIPS and DR say, on
    such searches that it did not learn from, that it earns more than what serves; and it serves
    only with HITWEAVE_SLATE_POLICY. `hitweave models` has it as INDEX@policy. The last line of
    stdout is one JSON object.
    """
    from indexer.catalogue import generation
    from reranker.learning import job, slate_job
    from reranker.learning.bars import bars
    from reranker.learning.reinforce import Schedule

    started = time.monotonic()
    chosen = settings.load()
    with connections.elasticsearch(chosen) as es, bars() as progress:
        connections.check_elasticsearch(es, chosen)
        servers = job.Servers(es, connections.valkey(chosen), chosen.models_dir)
        schedule = Schedule(episodes=episodes, rounds=rounds, seed=seed)
        answer = slate_job.train(
            servers,
            generation.resolve(es, index),
            schedule,
            now=datetime.now(UTC),
            progress=progress,
        )
    answer["seconds"] = round(time.monotonic() - started, 1)
    click.echo(orjson.dumps(answer).decode())
