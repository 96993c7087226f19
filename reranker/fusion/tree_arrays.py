"""The trees of an artifact's ONNX graph as flat arrays, as they are run here and in the node; pure.

Node i of the flat list splits on `signals[i]`: up to `thresholds[i]` on to `yes[i]`, else to
`no[i]`, both later in the list. A leaf goes on to itself and adds `leaves[i]`. The score of a
candidate is the sum over the `roots`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.errors import InvalidArtifact

SIGNALS = "signals"  # what the graph takes
SPLIT, LEAF = b"BRANCH_LEQ", b"LEAF"
Array = NDArray[Any]


def flattened(content: bytes, what: str = "the trees") -> dict[str, Array]:
    """Arrays by name of an artifact's graph of trees; raises InvalidArtifact, naming `what` it
    should be, for another graph.
    """
    told = _told(content, what)
    modes = told["nodes_modes"]
    if not set(modes) <= {SPLIT, LEAF} or told.get("base_values"):
        raise InvalidArtifact(f"{what} split in another way than is known here: train again")
    place = {it: at for at, it in enumerate(_pairs(told, "nodes_treeids", "nodes_nodeids"))}
    own = np.arange(len(modes), dtype=np.uint32)
    leaf = np.array([mode == LEAF for mode in modes])
    try:
        yes, no = (
            np.array([place[it] for it in _pairs(told, "nodes_treeids", name)], dtype=np.uint32)
            for name in ("nodes_truenodeids", "nodes_falsenodeids")
        )
        ends = [place[it] for it in _pairs(told, "target_treeids", "target_nodeids")]
    except KeyError as error:
        raise InvalidArtifact(f"{what} name nodes that are not there: train again") from error
    if not (leaf | ((yes > own) & (no > own))).all():
        raise InvalidArtifact(f"{what} do not end: train again")
    leaves = np.zeros(len(modes), dtype=np.float32)
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


def _told(content: bytes, what: str) -> dict[str, Any]:
    """The attributes of the one node that holds trees."""
    import onnx

    try:
        graph = onnx.load_from_string(content).graph
    except Exception as error:
        raise InvalidArtifact(f"{what} are no ONNX graph ({error})") from error
    taken = [given.name for given in graph.input]
    found = [node for node in graph.node if node.op_type == "TreeEnsembleRegressor"]
    if taken != [SIGNALS] or len(found) != 1:
        raise InvalidArtifact(
            f"{what}: {len(found)} ensembles of trees over {', '.join(taken)}, "
            f"where one over {SIGNALS} is expected"
        )
    return {it.name: onnx.helper.get_attribute_value(it) for it in found[0].attribute}


def _pairs(told: dict[str, Any], tree: str, node: str) -> list[tuple[int, int]]:
    return list(zip(told[tree], told[node], strict=True))
