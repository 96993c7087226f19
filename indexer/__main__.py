"""`python -m indexer [celery worker options]`: one worker of all queues, for small shops."""

import sys

from indexer import inbox
from indexer.worker import app

if __name__ == "__main__":
    app.worker_main(["worker", "-Q", ",".join(inbox.QUEUES), *sys.argv[1:]])
