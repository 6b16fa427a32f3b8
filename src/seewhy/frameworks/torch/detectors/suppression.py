"""Non-maximum suppression: of candidates of a class that overlap much, the surest is a detection."""

import numpy as np
import torch

from seewhy.types import NativeTensor

MOST_CANDIDATES = 1000
"""How many candidates of an image are looked at, the surest."""

MOST_DETECTIONS = 300


def surest_apart(
    boxes: NativeTensor, labels: NativeTensor, scores: NativeTensor, largest_overlap: float
) -> NativeTensor:
    """Return the positions of candidates of one image that no surer candidate of their class overlaps much.

    Args:
        boxes: (A, 4), left, top, right and bottom.
        labels: (A,), class indices.
        scores: (A,).
        largest_overlap: The intersection over union from which on the less sure candidate is left out.

    Returns:
        (D,), the surest first, `MOST_DETECTIONS` at most.
    """
    order = scores.argsort(descending=True, stable=True)[:MOST_CANDIDATES]
    corners, classes = boxes[order].double().cpu().numpy(), labels[order].cpu().numpy()
    areas = np.prod(np.maximum(corners[:, 2:] - corners[:, :2], 0), axis=1)
    kept: list[int] = []
    is_open = np.ones(len(order), dtype=bool)
    for position in range(len(order)):
        if not is_open[position]:
            continue
        kept.append(position)
        if len(kept) == MOST_DETECTIONS:
            break
        rest = slice(position + 1, None)
        low = np.maximum(corners[rest, :2], corners[position, :2])
        high = np.minimum(corners[rest, 2:], corners[position, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        union = areas[rest] + areas[position] - shared
        is_same = (classes[rest] == classes[position]) & (shared > largest_overlap * union)
        is_open[rest] &= ~is_same
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]
