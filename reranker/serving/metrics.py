"""The sidecar's metrics, declared once; under several processes they add up at /metrics."""

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5),
)

REQUESTS = Counter("hitweave_requests_total", "Requests by route and status.", ["route", "status"])
SEARCHES = Counter(
    "hitweave_searches_total", "Ranked searches by mode and degradation.", ["mode", "degraded"]
)
PASSED_THROUGH = Counter(
    "hitweave_passed_through_total", "Searches passed on unranked, by reason.", ["reason"]
)
SEARCH_SECONDS = Histogram(
    "hitweave_search_seconds", "Time of a ranked search.", ["mode"], buckets=LATENCY_BUCKETS
)
PART_SECONDS = Histogram(
    "hitweave_part_seconds", "Time of one part of it.", ["part"], buckets=LATENCY_BUCKETS
)
# Looked up once: each request counts in all of them.
ENCODE_SECONDS = PART_SECONDS.labels("encode")
SEARCH_PART_SECONDS = PART_SECONDS.labels("search")
FUSION_SECONDS = PART_SECONDS.labels("fusion")
CARDS_MISSING = Counter("hitweave_cards_missing_total", "Candidates without an item card.")
RECORDS_DROPPED = Counter(
    "hitweave_records_dropped_total", "Searches that were not recorded, by reason.", ["reason"]
)
MODEL_LOADS = Counter("hitweave_model_loads_total", "Models loaded, by outcome.", ["outcome"])
# Each process measures the same traffic, so what one of them measured last stands for all.
SIGNAL_DRIFT = Gauge(
    "hitweave_signal_drift",
    "Population stability index of a served signal against the held-out lists of the training of "
    "the model that serves, without what chance gives.",
    ["index", "signal"],
    multiprocess_mode="mostrecent",
)
SIGNAL_MISSING = Gauge(
    "hitweave_signal_missing_share",
    "Share of served values of a signal that were not known.",
    ["index", "signal"],
    multiprocess_mode="mostrecent",
)
