"""Many targets of one batch, a chunk at a time.

The gradients of a thousand classes of one image are 400 MB for ResNet-50, and of a batch gigabytes.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seewhy.attribution.independence import capture_images
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.structures import InputBatch
from seewhy.methods import Method
from seewhy.targets import Class, Objective, TopK
from seewhy.types import Capture, FloatArray

MIN_TARGETS = 32
"""From how many targets on they are chunked: below, one backward pass per target is as quick as anything else."""

GRADIENT_BYTES = 2**27
"""How much memory the gradients of one chunk may take."""


def takes_chunks(method: Method, objective: Objective) -> bool:
    """Whether an objective is many classes, and the method would hold the gradients of all of them."""
    target = objective.target
    is_many_classes = isinstance(target, (Class, TopK)) and target.target_count >= MIN_TARGETS
    return is_many_classes and method.derivatives != "none" and not method.needs_runner


def heatmaps_by_chunks(
    framework: Framework,
    method: Method,
    inputs: InputBatch,
    tap: LayerChoice,
    objective: Objective,
    capture: Capture,
    prepare: Callable[[InputBatch, Capture], Capture],
) -> FloatArray:
    """Return raw heatmaps (N, T, *space) of many classes, from one run of the model per chunk of the classes.

    Args:
        framework: Runs the model.
        method: Makes heatmaps of a capture.
        inputs: The batch.
        tap: Where the model is tapped.
        objective: Many classes, as `takes_chunks` tells.
        capture: What a run without gradients captured; its `indices` are the classes.
        prepare: Checks what was captured of a layer, and folds its tokens into rows and columns.
    """
    indices = framework.to_numpy(capture.indices)
    classes = Class(tuple(map(tuple, indices.tolist())))
    chunk = max(1, GRADIENT_BYTES // (4 * math.prod(capture.activations.shape)))
    heatmaps = []
    for start in range(0, indices.shape[1], chunk):
        part = replace(objective, target=classes.slice_targets(start, start + chunk))
        captured = capture_images(framework, inputs, tap, part, method.derivatives, method.gradient_rule)
        captured = captured if tap.is_input else prepare(inputs, captured)
        heatmaps.append(framework.to_numpy(framework.apply(method, captured)))
    return np.concatenate(heatmaps, axis=1)
