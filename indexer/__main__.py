"""`python -m indexer [celery worker options]`: one worker of all queues, for small shops."""

import os
import sys

from indexer import inbox

if __name__ == "__main__":
    queues = ",".join(inbox.QUEUES)
    celery = [sys.executable, "-m", "celery", "-A", "indexer.worker:app", "worker", "-Q", queues]
    os.execv(sys.executable, [*celery, *sys.argv[1:]])  # noqa: S606 - arguments are the user's own
