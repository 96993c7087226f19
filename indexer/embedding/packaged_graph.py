"""The network of Universal Sentence Encoder multilingual v3 as ONNX, without its weights.

`packaged_graph.onnx` beside this file is what `build()` gives: four kilobytes of operators whose
weights the encoder hands to onnxruntime in memory. So serving needs neither the `onnx` package nor
a model file of its own. Run `python -m indexer.embedding.packaged_graph` after changing `build`; a
test holds the file and the function equal.

The tokens of all texts of a batch stand one after another (no padding); `window_*` says for each
token which rows its n-gram covers, and row `tokens` is a row of zeros for what lies outside the
text; `mix` sums the tokens of each text.
"""

from pathlib import Path
from typing import Any

EMBEDDING_DIMS = 512
BRANCH_DIMS = 256
BRANCHES = ((2, 0), (3, 1), (5, 2))  # n-gram length, how many of its tokens stand to the left
FEATURE_DIMS = EMBEDDING_DIMS + BRANCH_DIMS * len(BRANCHES)
HIDDEN_DIMS = 320
GRAPH_FILE = Path(__file__).with_name("packaged_graph.onnx")
OPSET, IR_VERSION = 18, 9
EPSILON = 1e-12


class GraphWriter:
    """Collects the operators of one graph; each method returns the name of its result."""

    def __init__(self) -> None:
        from onnx import helper

        self.helper = helper
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """One operator with one result."""
        self.nodes.append(self.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def weight(self, name: str, *shape: int) -> str:
        """A float32 weight that is handed over when the session is opened."""
        from onnx import TensorProto

        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        location = tensor.external_data.add()
        location.key, location.value = "location", "memory"
        self.initializers.append(tensor)
        return name

    def constant(self, name: str, value: Any) -> str:
        """A small value that stays in the file."""
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def dense(self, x: str, weight: str, rows: int, columns: int) -> str:
        """`x @ weight`."""
        return self.add("MatMul", [x, self.weight(weight, rows, columns)], f"{weight}_product")

    def norm(self, x: str, name: str, dims: int) -> str:
        """Layer normalisation over the last axis."""
        gain, offset = self.weight(f"{name}_gain", dims), self.weight(f"{name}_offset", dims)
        return self.add(
            "LayerNormalization", [x, gain, offset], f"{name}_output", axis=-1, epsilon=EPSILON
        )


def build() -> bytes:
    """The serialised graph; needs the `onnx` package."""
    import numpy as np

    graph = GraphWriter()
    graph.constant("zeros", np.zeros((1, BRANCH_DIMS), np.float32))
    projected = graph.dense("tokens", "projection", EMBEDDING_DIMS, BRANCH_DIMS * len(BRANCHES))
    bias = graph.weight("projection_bias", BRANCH_DIMS * len(BRANCHES))
    projected = graph.add("Add", [projected, bias], "projected")
    normed = graph.norm(projected, "projection_norm", BRANCH_DIMS * len(BRANCHES))
    inputs = [f"branch_{length}" for length, _ in BRANCHES]
    graph.nodes.append(
        graph.helper.make_node("Split", [normed], inputs, axis=1, num_outputs=len(BRANCHES))
    )
    branches = [
        _ngrams(graph, _ngrams(graph, f"branch_{length}", length, "first"), length, "second")
        for length, _ in BRANCHES
    ]
    features = graph.add("Concat", ["tokens", *branches], "features", axis=1)
    features = graph.norm(features, "feature_norm", FEATURE_DIMS)
    _dense_head(graph, graph.add("MatMul", ["mix", features], "mixed"))
    return _serialised(graph)


def _ngrams(graph: GraphWriter, x: str, length: int, layer: str) -> str:
    """One n-gram layer with a residual: relu(window(x) @ W + b) + x."""
    name = f"{layer}_{length}"
    import numpy as np

    width = graph.constant(f"{name}_shape", np.array([-1, length * BRANCH_DIMS], np.int64))
    padded = graph.add("Concat", [x, "zeros"], f"{name}_padded", axis=0)
    rows = graph.add("Gather", [padded, f"window_{length}"], f"{name}_rows", axis=0)
    flat = graph.add("Reshape", [rows, width], f"{name}_flat")
    product = graph.dense(flat, name, length * BRANCH_DIMS, BRANCH_DIMS)
    biased = graph.add(
        "Add", [product, graph.weight(f"{name}_bias", BRANCH_DIMS)], f"{name}_biased"
    )
    return graph.add("Add", [graph.add("Relu", [biased], f"{name}_relu"), x], f"{name}_output")


def _dense_head(graph: GraphWriter, mixed: str) -> None:
    """From the summed features [texts, 1280] to the vectors [texts, 512], of any length."""
    size, hidden = EMBEDDING_DIMS, HIDDEN_DIMS
    summed = graph.dense(mixed, "features_down", FEATURE_DIMS, size)
    bias = graph.add(
        "Mul", ["root_tokens", graph.weight("features_down_bias", 1, size)], "scaled_bias"
    )
    mean = graph.add("Add", [summed, bias], "mean")
    first = graph.add("Relu", [graph.dense(mean, "dense_1", size, hidden)], "hidden_1")
    second = graph.add(
        "Add",
        [
            graph.dense(mean, "shortcut_2", size, hidden),
            graph.dense(first, "dense_2", hidden, hidden),
        ],
        "sum_2",
    )
    second = graph.add("Relu", [second], "hidden_2")
    third = graph.add("Relu", [graph.dense(second, "dense_3", hidden, size)], "hidden_3")
    last = graph.add(
        "Add",
        [
            graph.dense(second, "shortcut_4", hidden, size),
            graph.dense(third, "dense_4", size, size),
        ],
        "sum_4",
    )
    graph.add("Tanh", [last], "vectors")


def _serialised(graph: GraphWriter) -> bytes:
    from onnx import TensorProto

    value = graph.helper.make_tensor_value_info
    inputs = [
        value("tokens", TensorProto.FLOAT, ["tokens", EMBEDDING_DIMS]),
        *(
            value(f"window_{length}", TensorProto.INT64, ["tokens", length])
            for length, _ in BRANCHES
        ),
        value("mix", TensorProto.FLOAT, ["texts", "tokens"]),
        value("root_tokens", TensorProto.FLOAT, ["texts", 1]),
    ]
    outputs = [value("vectors", TensorProto.FLOAT, ["texts", EMBEDDING_DIMS])]
    body = graph.helper.make_graph(
        graph.nodes, "use-multilingual-v3", inputs, outputs, initializer=graph.initializers
    )
    model = graph.helper.make_model(
        body,
        producer_name="hitweave",
        opset_imports=[graph.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


if __name__ == "__main__":
    GRAPH_FILE.write_bytes(build())
