"""Is this process warmed up? Servers asked, indices resolved, encoders and models used once.

Valkey away, or a model refused, makes answers simpler but does not make the sidecar unready: only
without Elasticsearch nothing can be answered.
"""

from dataclasses import dataclass, field

from redis.exceptions import RedisError

from indexer.catalogue.generation import Generation
from indexer.embedding.encoder import DEFAULT_ENCODER, open_encoder
from indexer.errors import ElasticsearchUnavailable, HitweaveError
from reranker.serving.process import Process

WARM_TEXT = "warm up"


@dataclass(frozen=True, slots=True)
class Warmth:
    """What is ready; `indices` maps each index to the version of its model, None for the prior."""

    elasticsearch: bool
    valkey: bool
    indices: dict[str, str | None]
    faults: list[str] = field(default_factory=list)


def check(process: Process, wait_seconds: float | None = None) -> Warmth:
    """Use every part once; cheap when it was done before.

    Elasticsearch has `wait_seconds` to say which indices there are, by default what a request has.
    """
    faults: list[str] = []
    found: list[Generation] = []
    try:
        found = process.generations.find_all(wait_seconds)
        answers = True
    except ElasticsearchUnavailable as error:
        faults.append(error.message)
        answers = False
    try:
        _encode_once(process, found)
    except HitweaveError as error:
        faults.append(error.message)
    valkey = _ping(process)
    if not valkey:
        faults.append("Valkey does not answer: searches are not personal")
    models = {it.index: process.models.version(it.index) for it in found}
    return Warmth(answers, valkey, models, faults)


def _encode_once(process: Process, found: list[Generation]) -> None:
    open_encoder(DEFAULT_ENCODER).encode([WARM_TEXT], role="query")
    for generation in found:
        process.vectors.of(WARM_TEXT, generation.recipe)


def _ping(process: Process) -> bool:
    try:
        return bool(process.memory.client.ping())
    except RedisError:
        return False
