"""The weights of networks as a file of an artifact, read without torch; pure."""

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]


def unpacked(content: bytes) -> list[Weights]:
    """The weights of each network of such a file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    count = 1 + max(int(name.partition("/")[0]) for name in arrays)
    return [
        {
            name.partition("/")[2]: value
            for name, value in arrays.items()
            if name.partition("/")[0] == str(number)
        }
        for number in range(count)
    ]
