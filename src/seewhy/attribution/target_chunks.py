"""Many targets of one batch: all at once where the model allows it, else a part of them at a time.

The gradients of a thousand classes of one image are 400 MB for ResNet-50, and of a batch gigabytes.
"""

import math
from dataclasses import replace

import numpy as np

from seewhy.frameworks import Framework, LayerChoice
from seewhy.methods import Method
from seewhy.targets import Class, Objective, TopK
from seewhy.types import Backward, Capture, FloatArray

MANY = 32
"""From how many targets on they are many: below, one backward pass for each is as quick as anything else."""

GRADIENT_BYTES = 2**27
"""How much memory the gradients may take that are held at once."""


def are_many(objective: Objective, method: Method) -> bool:
    """Whether a question asks for many classes, and the method would take the gradients of all of them."""
    target = objective.target
    is_of_classes = isinstance(target, (Class, TopK)) and target.target_count >= MANY
    return is_of_classes and method.backward != "none" and not method.reruns


def first_way(method: Method) -> Backward:
    """Return how the way back is taken in the run of the model that all targets share."""
    return "products" if method.has_closed_form else "none"


def evidence_of_many(
    framework: Framework, method: Method, inputs: object, layer: LayerChoice, objective: Objective, capture: Capture
) -> FloatArray:
    """Return the evidence (N, T, *space) of many classes.

    Args:
        framework: Runs the model; once more for each part of the targets, if it has to.
        method: What makes heatmaps of a capture.
        inputs: The batch.
        layer: The layer that is explained.
        question: What is asked; `are_many` is true of it.
        capture: What the run left that all targets share, its way back `first_way`.
    """
    if capture.products is not None:
        return framework.to_numpy(capture.products)
    indices = framework.to_numpy(capture.indices)
    classes = Class(tuple(map(tuple, indices.tolist())))
    at_once = max(1, GRADIENT_BYTES // (4 * math.prod(capture.activations.shape)))
    evidence = []
    for start in range(0, indices.shape[1], at_once):
        part = replace(objective, target=classes.slice_targets(start, start + at_once))
        captured = framework.capture(inputs, layer, part, method.backward)
        evidence.append(framework.to_numpy(framework.apply(method, captured)))
    return np.concatenate(evidence, axis=1)
