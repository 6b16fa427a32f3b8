"""From a PyTorch model's outputs to a capture, for native modules and for Keras models."""

from typing import Any

import torch

from seewhy.frameworks.layers import LayerCall, LayerChoice
from seewhy.frameworks.structures import map_tree
from seewhy.frameworks.torch.logits import TorchFunctions, select_torch_outputs
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.tap import Tap
from seewhy.frameworks.torch.tensors import detached, target_arrays
from seewhy.targets import Objective
from seewhy.types import Capture, Namespace, Tensor


def finish_capture(
    tap: Tap,
    layer: LayerChoice,
    outputs: Any,
    objective: Objective,
    images: int,
    functions: TorchFunctions,
    xp: Namespace,
) -> Capture:
    """Compute the scores and their derivatives, while gradients are recorded.

    Args:
        tap: The tap, after the model ran.
        layer: The layer as the caller named it.
        outputs: All that the model returned.
        objective: What is differentiated.
        images: N.
        functions: Recorded the head's functions, and knows the final activation.
        xp: The namespace for the target.

    Raises:
        LayerError: The layer was not called.
        NoGradientError: The scores do not depend on the layer.
        TargetError: The outputs do not allow the target.
    """
    tap.check()
    with without_autocast():
        selected = select_torch_outputs(outputs, objective, functions, xp)
        tap.guide(selected)
        read = selected.read(selected.tensors)
        device_of = tap.output if read.logits is None else read.logits
        answer = read.score(objective, target_arrays(objective, images, device_of), xp)
        activations, scores = channels_last(tap.call, tap.output.detach().float()), answer.scores.float()
        closed_form = tap.closed_form(scores, activations)
        # The images of a batch do not influence each other, so the gradient of the sum is each image's own.
        gradients = tap.gradients(scores.sum(dim=0))
    return Capture(
        activations=activations,
        gradients=None if gradients is None else targets_second(tap.call, gradients.float()),
        scores=scores.detach(),
        indices=answer.indices.to(torch.int32),
        outputs=map_tree(detached, read.raw),
        probabilities=None if read.probabilities is None else read.probabilities.detach(),
        layer=layer.named(tap.call),
        xp=xp,
        closed_form=closed_form,
    )


def channels_last(call: LayerCall, tensor: Tensor) -> Tensor:
    """Return a call's output as (N, *space, K), however the layer lays it out."""
    return tensor.movedim(1, -1) if call.channels_first else tensor


def targets_second(call: LayerCall, gradients: Tensor) -> Tensor:
    """Return gradients (T, N, ...), laid out as the call's output, as (N, T, *space, K)."""
    gradients = gradients.swapaxes(0, 1)
    return gradients.movedim(2, -1) if call.channels_first else gradients
