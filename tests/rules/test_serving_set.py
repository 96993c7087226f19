"""What serves starts where only the base dependencies are."""

import subprocess
import sys

import pytest

NOT_SERVING = (
    "torch",
    "transformers",
    "onnx",
    "lightgbm",
    "sklearn",
    "pandas",
    "matplotlib",
    "ranx",
    "gymnasium",
    "scipy",
    "confluent_kafka",
)
BLOCK = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {NOT_SERVING!r}:
            raise ImportError(name + ' is not part of the serving set')
sys.meta_path.insert(0, Blocked())
"""


@pytest.mark.parametrize(
    "use",
    [
        "from reranker.app import create_app; assert create_app() is not None",
        "import indexer.worker, indexer.tasks, indexer.behaviour.tasks",
        "from indexer.embedding.encoder import open_encoder\n"
        "e = open_encoder('packaged:use-multilingual-v3')\n"
        "assert e.encode(['无线耳机'], role='query').shape == (1, e.recipe.dims)",
    ],
)
def test_it_starts_without_the_learning_set(use: str) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCK + use], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
