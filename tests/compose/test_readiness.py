"""The questions whether a part works, asked by several threads of a new process at once."""

import subprocess
import sys

AT_ONCE = """
import sys, threading
from compose.local import readiness
from compose.local.part import Readiness

sys.setswitchinterval(1e-6)
readiness._valkey = lambda *_: True
asked = Readiness(kind="celery", url="memory://", worker="nobody")
start, said = threading.Barrier(8), []

def ask():
    start.wait()
    said.append(readiness.is_ready(asked, 0.1))

threads = [threading.Thread(target=ask) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(*said)
"""


def test_several_threads_may_be_the_first_to_ask_a_worker() -> None:
    done = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["False"] * 8
