"""Running a PyTorch model with a layer's output replaced, for native modules and for Keras models."""

from typing import Any, final

import torch

from seewhy.errors import LayerError
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.structures import ArrayTree
from seewhy.frameworks.torch.logits import FunctionRecorder, select_torch_outputs
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import target_arrays
from seewhy.targets import Objective
from seewhy.types import FloatArray, Namespace, NativeTensor


@final
class ClampTap(TorchTap):
    """Replaces the output of one call of one layer.

    Args:
        call: The call.
        activations: (N, *space, K), what it returns.
    """

    def __init__(self, call: LayerCall, activations: FloatArray) -> None:
        super().__init__(call)
        own = layer_layout(call, activations)
        self._activations = own.swapaxes(0, 1) if call.images_second else own

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        was_called = self.output is not None
        super().record(path, layer, output, arguments)
        if was_called or self.output is None:
            return output
        if output.shape != self._activations.shape:
            raise LayerError(
                f"The layer {path!r} returned an output of shape {tuple(output.shape)}, and its output in another run, "
                f"which was to replace it, has shape {self._activations.shape}: the shape depends on more than that of "
                "the model's input. Give another layer."
            )
        return torch.tensor(self._activations, dtype=output.dtype, device=output.device)


def clamped_scores(
    tap: ClampTap, outputs: ArrayTree, objective: Objective, functions: FunctionRecorder, xp: Namespace
) -> NativeTensor:
    """Return the scores (N, T) of a run with a layer's output replaced."""
    tap.check()
    with without_autocast():
        selected = select_torch_outputs(outputs, objective, functions, xp)
        images = tap.output.shape[1 if tap.call.images_second else 0] // tap.call.frames
        arrays = target_arrays(objective, images, tap.output)
        scores: NativeTensor = selected.read(selected.tensors).score(objective, arrays, xp).scores
        return scores.detach().float()
