"""Our own processes as parts of the stack: Celery workers by queue, sidecar, Kafka's consumer."""

import os
import sys

from compose.local.home import PSEUDONYM_KEY, Addresses, Home
from compose.local.part import Part, Readiness
from compose.local.ports import LOOPBACK
from indexer.settings import Settings
from reranker.settings import load

QUEUES = ("embed", "index", "behaviour")
WORKER_OF = {queue: f"worker-{queue}" for queue in QUEUES}
WORKERS = tuple(WORKER_OF.values())
SIDECAR = "sidecar"
LEARN_QUEUE, LEARNER = "learn", "worker-learn"
CONSUMER = "consumer"
WORKER_ADVICE = "read the log above; `hitweave doctor` checks settings, servers and models"


def worker_command(queues: str, name: str, concurrency: int) -> tuple[str, ...]:
    """Celery as this project runs it: no chatter among workers, one task taken at a time."""
    return (
        *(sys.executable, "-m", "celery", "-A", "indexer.worker:app", "worker"),
        *(
            "-Q",
            queues,
            "-n",
            name,
            "--concurrency",
            str(concurrency),
            "--prefetch-multiplier",
            "1",
        ),
        *("--without-gossip", "--without-mingle", "--loglevel", "info"),
    )


def learner_command(name: str, folder: str) -> tuple[str, ...]:
    """Celery with its beat, which trains models anew; `folder` keeps when it last did."""
    return (
        *(sys.executable, "-m", "celery", "-A", "reranker.worker:app", "worker", "--beat"),
        *("--schedule", f"{folder}/beat-schedule", "-Q", LEARN_QUEUE, "-n", name),
        *("--concurrency", "1", "--without-gossip", "--without-mingle", "--loglevel", "info"),
    )


def sidecar_command(host: str, port: int, processes: int, threads: int) -> tuple[str, ...]:
    """Gunicorn as this project runs it."""
    return (
        *(sys.executable, "-m", "gunicorn", "reranker.wsgi:app", "--bind", f"{host}:{port}"),
        *("--config", "python:reranker.server"),
        *("--workers", str(processes), "--threads", str(threads)),
    )


def worker(queue: str, home: Home, concurrency: int, after: tuple[str, ...]) -> Part:
    """One Celery worker; ready when it answers a ping."""
    name = f"{queue}@{home.id()}"
    command = worker_command(queue, name, concurrency)
    return _celery(WORKER_OF[queue], name, command, home, after, f"Celery, queue {queue}")


def learner(home: Home, after: tuple[str, ...]) -> Part:
    """The worker that trains models anew; ready when it answers a ping."""
    name = f"{LEARN_QUEUE}@{home.id()}"
    command = learner_command(name, str(home.folder))
    return _celery(LEARNER, name, command, home, after, "Celery with beat, queue learn")


def _celery(
    part: str, name: str, command: tuple[str, ...], home: Home, after: tuple[str, ...], note: str
) -> Part:
    """A part that is a worker which calls itself `name`."""
    broker = Settings(valkey_url=_addresses(home).valkey_url).celery_broker_url
    return Part(
        name=part,
        command=command,
        environment=environment(home),
        inherits=True,
        folder=home.folder,
        log=home.logs / f"{part}.log",
        readiness=Readiness(kind="celery", url=broker, worker=name),
        after=after,
        stop_seconds=30,
        advice=WORKER_ADVICE,
        note=note,
    )


def consumer(home: Home, servers: str, after: tuple[str, ...]) -> Part:
    """What reads events from Kafka; ready when it is in its group."""
    name = f"{CONSUMER}@{home.id()}"
    return Part(
        name=CONSUMER,
        command=(*(sys.executable, "-m", "compose.local.cli", "consume"), "--name", name),
        environment=environment(home),
        inherits=True,
        folder=home.folder,
        log=home.logs / f"{CONSUMER}.log",
        readiness=Readiness(kind="kafka", url=servers, worker=name),
        after=after,
        stop_seconds=20,
        advice=WORKER_ADVICE,
        note=f"events from Kafka at {servers}",
    )


def sidecar(home: Home, port: int, after: tuple[str, ...]) -> Part:
    """The sidecar; ready when warmed up, as it says itself."""
    addresses = _addresses(home)
    settings = load()
    processes, threads = settings.sidecar_processes, settings.sidecar_threads
    return Part(
        name=SIDECAR,
        command=sidecar_command(LOOPBACK, port, processes, threads),
        environment=environment(home),
        inherits=True,
        folder=home.folder,
        log=home.logs / f"{SIDECAR}.log",
        readiness=Readiness(kind="http", url=f"{addresses.sidecar_url}/health/ready"),
        after=after,
        stop_seconds=20,
        advice=WORKER_ADVICE,
        note=f"gunicorn, {processes} processes of {threads} threads",
    )


def environment(home: Home) -> dict[str, str]:
    """What comes on top of the user's environment; one thread a process in numeric code."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    told = {name: value for name, value in home.environment().items() if name != PSEUDONYM_KEY}
    return {"OMP_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1", **told}


def _addresses(home: Home) -> Addresses:
    addresses = home.addresses()
    if addresses is None:
        raise RuntimeError("the addresses are written before the parts are planned")
    return addresses
