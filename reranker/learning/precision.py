"""On which device a network trains and in which number format; torch.

Weights, optimiser and losses stay in single precision; only the network's products are shortened.
"""

import torch

from reranker.learning.schedule import Precision

_SHORT: dict[str, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def device(asked: str = "auto", local_rank: int = 0) -> torch.device:
    """The GPU of a local rank where there is one and it is not forbidden, else the processor."""
    if asked == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", local_rank % torch.cuda.device_count())


def shortened(asked: Precision, where: torch.device) -> torch.dtype | None:
    """What products are computed in; None: single precision, as `auto` means on a processor."""
    if asked != "auto":
        return _SHORT.get(asked)
    if where.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def scaler(dtype: torch.dtype | None, where: torch.device) -> torch.amp.GradScaler:
    """Keeps small gradients of half precision from vanishing (Micikevicius et al. 2018, Mixed
    Precision Training); does nothing for any other format.
    """
    return torch.amp.GradScaler(where.type, enabled=dtype is torch.float16)
