# syntax=docker/dockerfile:1
# Sidecar, workers and command line from uv.lock. EXTRAS adds sets of packages: without any, what
# answers searches and embeds on a CPU; `--extra worker` adds transformers, `--extra train` training,
# `--extra kafka` what reads events out of Kafka.
FROM python:3.12-slim AS build
RUN pip install --no-cache-dir "uv>=0.8"
ENV UV_CACHE_DIR=/uv-cache UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
ARG EXTRAS=""
COPY pyproject.toml uv.lock README.md LICENSE NOTICE ./
RUN --mount=type=cache,target=/uv-cache uv sync --frozen --no-dev --no-install-project ${EXTRAS}
COPY indexer indexer
COPY reranker reranker
COPY compose compose
RUN --mount=type=cache,target=/uv-cache uv sync --frozen --no-dev --no-editable ${EXTRAS}

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 hitweave && install --directory --owner hitweave /data
COPY --from=build /app/.venv /app/.venv
# What is compiled at the first start is kept with the data.
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 HITWEAVE_HOME=/data NUMBA_CACHE_DIR=/data/compiled
USER hitweave
WORKDIR /data
EXPOSE 8600
CMD ["hitweave", "--help"]
