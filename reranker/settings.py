"""Settings of the sidecar, read once from HITWEAVE_* variables beside those of indexer.settings.

Every bound on work has its unit in its name; `problems()` checks the bounds against each other.
"""

import ipaddress
from functools import cached_property, lru_cache

from pydantic import Field, SecretStr

from indexer.settings import Checked


class Settings(Checked):
    """How the sidecar listens, how much it retrieves, caches and waits."""

    host: str = Field("127.0.0.1", description="Address the sidecar listens on.")
    port: int = Field(8600, ge=1, le=65535, description="Port the sidecar listens on.")
    sidecar_processes: int = Field(
        2,
        ge=1,
        le=256,
        description="Processes that answer requests; each scores one list at a time: one a core.",
    )
    sidecar_threads: int = Field(8, ge=1, le=256, description="Threads in each of them.")
    deadline_ms: int = Field(500, ge=20, description="Time for a whole search.")
    late_ms: int = Field(
        30_000,
        ge=0,
        description="Time after the deadline for the client's own order, of a node that is slow.",
    )
    rank_window_size: int = Field(
        100, ge=1, description="Candidates of each leg where a request says nothing."
    )
    rank_window_max: int = Field(1000, ge=1, description="Most candidates a request may ask for.")
    num_candidates: int = Field(
        100, ge=1, le=10_000, description="Vectors each shard looks at for the kNN leg at least."
    )
    page_depth: int = Field(1000, ge=1, description="Ids of one search kept for its later pages.")
    page_ttl_seconds: int = Field(
        300, ge=1, description="How long after its last page the order of a search is kept."
    )
    generation_ttl_seconds: float = Field(
        5.0, ge=0, description="How long an index's configuration is believed."
    )
    query_vectors_cached: int = Field(20_000, ge=0, description="Query vectors a process keeps.")
    records_cached: int = Field(
        100_000, ge=0, description="Item cards, and likewise popularity records, a process keeps."
    )
    documents_cached_bytes: int = Field(
        33_554_432,
        ge=0,
        description="Bytes of shown hits that a process keeps for 10 minutes; 0: none.",
    )
    shoppers_cached: int = Field(
        200, ge=0, description="Shoppers whose history a process keeps ready for their next search."
    )
    record_queue: int = Field(
        10_000, ge=1, description="Searches waiting to be recorded; further ones are dropped."
    )
    record_batch: int = Field(200, ge=1, description="Searches recorded in one task.")
    record_signals: int = Field(
        50, ge=0, description="Hits of a search whose signals are logged as served; 0: none."
    )
    model_poll_seconds: float = Field(
        1.0, gt=0, description="How often the model registry is looked at."
    )
    drift_sample_every: int = Field(
        10, ge=0, description="One search in this many is held against the training; 0: none."
    )
    drift_threshold: float = Field(
        0.25, gt=0, description="Population stability index above which a signal is reported."
    )
    body_bytes_max: int = Field(
        10_000_000, ge=1000, description="A longer request body is refused with 413."
    )
    gateway_allow_writes: bool = Field(
        False, description="Pass writes and administration on to Elasticsearch."
    )
    gateway_anonymous: bool = Field(
        False, description="Clients without credentials are answered with the sidecar's own."
    )
    did_you_mean_hits_max: int = Field(
        2, ge=0, description="A search whose words match at most so many is asked what it meant."
    )
    adaptive: bool = Field(
        True, description="Add the adaptive layer to scores, and leave lists for it to learn from."
    )
    adaptive_list_seconds: int = Field(
        1800, ge=1, description="How long after a search its feedback teaches the adaptive layer."
    )
    exploration_share: float = Field(
        0.0, ge=0, le=0.5, description="Share of searches that try what the layer is unsure of."
    )
    slate_policy: bool = Field(
        False, description="Let a promoted slate policy add to the scores of its index's searches."
    )
    trusted_addresses: str = Field(
        "",
        description="Addresses or networks, with commas, trusted like loopback to send events, and "
        "to ask `/rerank` without credentials.",
    )
    rules_token: SecretStr | None = Field(
        None,
        description="Who sends it may edit rules and experiments; without one only the machine.",
    )
    rules_poll_seconds: float = Field(
        1.0, gt=0, description="How often the live rules are looked at."
    )

    experiments_poll_seconds: float = Field(
        1.0, gt=0, description="How often the running experiments are looked at."
    )

    @cached_property
    def trusted_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """What `trusted_addresses` names; raises ValueError for what is no address."""
        named = (name.strip() for name in self.trusted_addresses.split(","))
        return tuple(ipaddress.ip_network(name, strict=False) for name in named if name)

    def problems(self) -> list[str]:
        """Relations that do not hold, each as a sentence that says what to change."""
        found = []
        if self.rank_window_size > self.rank_window_max:
            found.append(
                f"HITWEAVE_RANK_WINDOW_SIZE ({self.rank_window_size}) must not be above "
                f"HITWEAVE_RANK_WINDOW_MAX ({self.rank_window_max})"
            )
        if self.page_depth > 10_000:
            found.append(
                f"HITWEAVE_PAGE_DEPTH ({self.page_depth}) must not be above 10000, "
                "Elasticsearch's own result window"
            )
        try:
            _ = self.trusted_networks
        except ValueError as error:
            found.append(f"HITWEAVE_TRUSTED_ADDRESSES names what is no address or network: {error}")
        return found


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process; raises InvalidSettings with every problem at once."""
    return Settings.read()
