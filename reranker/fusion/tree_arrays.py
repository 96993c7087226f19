"""The trees of an artifact as flat arrays, for runtimes other than ONNX's; pure.

Node i of the flat list splits on `signals[i]`: up to `thresholds[i]` on to `yes[i]`, else to
`no[i]`, both later in the list. A leaf goes on to itself and adds `leaves[i]`. The score of a
candidate is the sum over the `roots`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import InvalidArtifact

SPLIT, LEAF = b"BRANCH_LEQ", b"LEAF"
Array = NDArray[Any]


def flattened(content: bytes) -> dict[str, Array]:
    """Arrays by name of an artifact's graph of trees; raises InvalidArtifact for another graph."""
    told = _told(content)
    modes = told["nodes_modes"]
    if not set(modes) <= {SPLIT, LEAF} or told.get("base_values"):
        raise InvalidArtifact("the trees split in another way than is known here: train again")
    place = {it: at for at, it in enumerate(_pairs(told, "nodes_treeids", "nodes_nodeids"))}
    own = np.arange(len(modes), dtype=np.uint32)
    leaf = np.array([mode == LEAF for mode in modes])
    yes, no = (
        np.array([place[it] for it in _pairs(told, "nodes_treeids", name)], dtype=np.uint32)
        for name in ("nodes_truenodeids", "nodes_falsenodeids")
    )
    leaves = np.zeros(len(modes), dtype=np.float32)
    ends = [place[it] for it in _pairs(told, "target_treeids", "target_nodeids")]
    np.add.at(leaves, ends, np.array(told["target_weights"], dtype=np.float32))
    first = np.unique(told["nodes_treeids"], return_index=True)[1]
    return {
        "roots": first.astype(np.uint32),
        "signals": np.array(told["nodes_featureids"], dtype=np.uint32),
        "thresholds": np.array(told["nodes_values"], dtype=np.float32),
        "yes": np.where(leaf, own, yes),
        "no": np.where(leaf, own, no),
        "leaves": leaves,
    }


def _told(content: bytes) -> dict[str, Any]:
    """The attributes of the one node that holds trees."""
    import onnx

    model = onnx.load_from_string(content)
    found = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    if len(found) != 1:
        raise InvalidArtifact(f"{len(found)} ensembles of trees where one is expected")
    return {it.name: onnx.helper.get_attribute_value(it) for it in found[0].attribute}


def _pairs(told: dict[str, Any], tree: str, node: str) -> list[tuple[int, int]]:
    return list(zip(told[tree], told[node], strict=True))
