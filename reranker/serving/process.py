"""Everything one sidecar process holds, opened after the fork and handed to every request."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from indexer import connections
from indexer.errors import HitweaveError
from indexer.settings import Settings as ServerSettings
from reranker.experiments.experiment_book import ExperimentBook
from reranker.experiments.experiment_store import ExperimentStore
from reranker.retrieval.documents import Documents
from reranker.retrieval.node import BRIEFLY_SECONDS, Nodes
from reranker.retrieval.query_vector import QueryVectors
from reranker.rules.rule_book import RuleBook
from reranker.rules.rule_store import RuleStore
from reranker.serving import drift_watch
from reranker.serving.drift_watch import DriftWatch
from reranker.serving.generations import Generations
from reranker.serving.histories import Pasts
from reranker.serving.memory import Memory
from reranker.serving.models import Models, teller
from reranker.serving.origins import Origins
from reranker.serving.phrasebook import Phrasebook
from reranker.serving.pins import Pins
from reranker.serving.recorder import Recorder, Search, send_searches
from reranker.serving.refill import Refill, send_refill
from reranker.serving.titles import NamesSeen
from reranker.settings import Settings

VALKEY_SECONDS_MAX = 0.2
RULES_SECONDS_MAX = 5.0
GENERATIONS_SECONDS_MAX = 10.0  # no request waits so long
LONG_WAITS_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Process:
    """The parts of one process; tests make it of the same parts on their own servers."""

    settings: Settings
    pseudonym_key: str
    nodes: Nodes
    origins: Origins
    documents: Documents
    generations: Generations
    vectors: QueryVectors
    memory: Memory
    pasts: Pasts
    pins: Pins
    models: Models
    recorder: Recorder[Search]
    refill: Refill
    drift: DriftWatch
    rules: RuleBook
    experiments: ExperimentBook
    phrases: Phrasebook
    names: NamesSeen
    clock: Callable[[], float] = time.time

    def start(self) -> None:
        """Look at experiments, models and rules now, and again and again from here on."""
        self.experiments.start()
        self.models.start()
        self.rules.start()

    def close(self) -> None:
        """End the threads; what waits to be recorded is handed on first."""
        self.models.close()
        self.rules.close()
        self.experiments.close()
        self.recorder.close()
        self.refill.close()
        self.drift.close()
        self.generations.close()


def open_process(servers: ServerSettings, settings: Settings) -> Process:
    """Open the parts; makes no request, so the sidecar starts before its servers do."""
    valkey = connections.valkey(
        servers,
        socket_timeout=VALKEY_SECONDS_MAX,
        socket_connect_timeout=VALKEY_SECONDS_MAX,
    )
    memory = Memory(valkey, entries_max=settings.records_cached)
    key = servers.pseudonym_key.get_secret_value()
    deadline_seconds = settings.deadline_ms / 1000.0
    generations = Generations(
        connections.elasticsearch(servers, request_timeout=GENERATIONS_SECONDS_MAX),
        ttl_seconds=settings.generation_ttl_seconds,
        wait_seconds=deadline_seconds,
    )
    vectors = QueryVectors(settings.query_vectors_cached)
    impatient = connections.elasticsearch(servers, request_timeout=RULES_SECONDS_MAX, max_retries=0)
    experiments = ExperimentBook(
        ExperimentStore(impatient), poll_seconds=settings.experiments_poll_seconds
    )
    nodes = Nodes(
        servers,
        lends_credentials=settings.gateway_anonymous,
        long_waits=max(int(settings.sidecar_threads * LONG_WAITS_SHARE), 1),
        briefly_seconds=max(BRIEFLY_SECONDS, deadline_seconds),
    )
    return Process(
        settings=settings,
        pseudonym_key=key,
        nodes=nodes,
        origins=Origins(nodes),
        documents=Documents(settings.documents_cached_bytes),
        generations=generations,
        vectors=vectors,
        memory=memory,
        pasts=Pasts(settings.shoppers_cached),
        pins=Pins(memory, ttl_seconds=settings.page_ttl_seconds),
        models=Models(
            servers.models_dir,
            poll_seconds=settings.model_poll_seconds,
            indices=_known_indices(generations, vectors),
            tell=teller(valkey),
            beside=experiments.models,
        ),
        recorder=Recorder(
            send_searches(key), queue_max=settings.record_queue, batch_max=settings.record_batch
        ),
        refill=Refill(
            Recorder(send_refill, queue_max=settings.record_queue, batch_max=settings.record_batch)
        ),
        drift=DriftWatch(
            sample_every=settings.drift_sample_every,
            threshold=settings.drift_threshold,
            tell=drift_watch.teller(valkey),
        ),
        phrases=Phrasebook(memory),
        names=NamesSeen(),
        rules=RuleBook(RuleStore(impatient), poll_seconds=settings.rules_poll_seconds),
        experiments=experiments,
    )


def _known_indices(generations: Generations, vectors: QueryVectors) -> Callable[[], list[str]]:
    """The indices that are served; looking at them opens their encoders before a search does."""

    def known() -> list[str]:
        names = generations.names()
        for name in names:
            with suppress(HitweaveError):
                if (found := generations.find(name)) is not None:
                    vectors.encoder(found.recipe)
        return names

    return known
