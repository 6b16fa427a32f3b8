"""Computing a capture from a PyTorch model's outputs, for native modules and for Keras models."""

from collections.abc import Callable

import torch

from seewhy.frameworks.layers import LayerChoice
from seewhy.frameworks.layouts import channels_last
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.structures import ArrayTree, InputBatch, image_count, map_tree
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.linear_layer import Shortcut
from seewhy.frameworks.torch.logits import FunctionRecorder, select_torch_outputs
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import detach, target_arrays
from seewhy.targets import Objective
from seewhy.types import Capture, Namespace, NativeTensor

FindShortcut = Callable[[NativeTensor, NativeTensor], Shortcut | None]
"""Finds a shorter backward pass for logits (N, C), of which classes (N, T) are scored."""


def finish_capture(
    tap: TorchTap,
    layer: LayerChoice,
    outputs: ArrayTree,
    objective: Objective,
    inputs: InputBatch,
    functions: FunctionRecorder,
    xp: Namespace,
    message: Callable[[Exception], object] = str,
    shortcut: FindShortcut | None = None,
) -> Capture:
    """Compute the scores and their derivatives. Gradients must be enabled.

    Args:
        tap: The tap, after the model ran.
        layer: The layer as the caller named it.
        outputs: All outputs of the model.
        objective: What is differentiated.
        inputs: The batch that the model ran on.
        functions: Recorded the functions of the head.
        xp: The namespace for the target.
        message: Returns the message of an exception of the model.
        shortcut: Finds a shorter backward pass for the logits of classes; None to take the whole.

    Raises:
        LayerError: The layer was not called.
        ModelRunError: The model failed in the backward pass.
        NoGradientError: The scores do not depend on the layer.
        TargetError: The outputs do not allow the target.
    """
    tap.check()
    with without_autocast():
        selected = select_torch_outputs(outputs, objective, functions, xp)
        tap.apply_gradient_rule(selected)
        read = selected.read(selected.tensors)
        device_tensor = tap.output if read.logits is None else read.logits
        scores: NativeTensor
        indices: NativeTensor
        scores, indices = read.score(objective, target_arrays(objective, image_count(inputs), device_tensor), xp)
        activations = channels_last(tap.call, tap.output.detach().float(), torch)
        scores = scores.float()
        with translated_errors(inputs, FAILURES, None, message):
            closed_form = tap.closed_form(scores, activations)
            shorter: Shortcut | None = None
            if shortcut is not None and tap.wants_gradients and objective.selects_logits:
                shorter = shortcut(read.logits, indices)
            gradients = tap.gradients(scores, xp, shorter)
    return Capture(
        activations=activations,
        gradients=gradients,
        scores=scores.detach(),
        indices=indices.to(torch.int32),
        outputs=map_tree(detach, read.raw),
        probabilities=None if read.probabilities is None else read.probabilities.detach(),
        layer=layer.named(tap.call),
        xp=xp,
        final_activation=read.activation,
        closed_form=closed_form,
    )
