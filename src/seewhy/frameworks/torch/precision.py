"""Running PyTorch models in bfloat16, and computing heatmaps in the tensors' own types."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch

from seewhy.frameworks.structures import leaves
from seewhy.types import Precision


def autocast_to(precision: Precision, batch: Any) -> AbstractContextManager[object]:
    """Run a model on a batch in this precision; in float32, which is the default, as it runs anyway.

    No weight is kept in bfloat16: most are used once, and an autocast of the caller's own would find them.
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(leaves(batch)[0].device.type, torch.bfloat16, cache_enabled=False)


@contextmanager
def without_autocast() -> Iterator[None]:
    """Compute in the types that the tensors have: what is left of gradients in float16 may be nothing."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield
