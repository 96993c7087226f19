"""`python -m reranker`: the sidecar under gunicorn, as its settings say."""

import sys

from gunicorn.app.wsgiapp import run

from reranker.settings import load


def arguments() -> list[str]:
    """Gunicorn's own arguments; those of the command line come after them and win."""
    settings = load()
    return [
        *("reranker.wsgi:app", "--bind", f"{settings.host}:{settings.port}"),
        *("--config", "python:reranker.server", "--workers", str(settings.sidecar_processes)),
        *("--threads", str(settings.sidecar_threads)),
    ]


if __name__ == "__main__":
    sys.argv[1:1] = arguments()
    run(prog="reranker")
