"""Running PyTorch models in bfloat16, and computing heatmaps in the tensors' own types."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from seewhy.frameworks.structures import leaves
from seewhy.types import Precision


def autocast_to(precision: Precision, batch: Any) -> AbstractContextManager[object]:
    """Return a context manager that runs a model on a batch in this precision; float32 leaves the model's own types.

    Weights in bfloat16 are not cached: most are used once, and the caller's own autocast would reuse them.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(leaves(batch)[0].device.type, torch.bfloat16, cache_enabled=False)


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute in the types of the tensors: gradients in float16 may underflow to 0."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
