"""Running a compiled capture of attention maps."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from numpy.typing import NDArray

from seewhy.frameworks.loss_scale import scaled_gradients
from seewhy.frameworks.map_layout import MapLayout, joined_gradients, separate_gradients, separate_images
from seewhy.targets.target import Shape
from seewhy.types import AttentionCapture, FinalActivation, FloatArray, NativeTensor


class CompiledAttention(NamedTuple):
    """A compiled function that captures attention maps, and facts from its trace.

    Attributes:
        function: From the inputs and a target's arrays to the tensors of an `AttentionCapture`, by name, with the axes
            that `layouts` say.
        layouts: The layout of each map.
        shape: The shape of the selected output; None where the objective reads all outputs.
        activation: The final activation of that output.
        scale_shape: As in `CompiledCapture`.
    """

    function: Callable[..., Any]
    layouts: Sequence[MapLayout]
    shape: Shape | None
    activation: FinalActivation | None
    scale_shape: tuple[int, int] | None = None


def run_attention(
    compiled: CompiledAttention,
    run: Callable[[Sequence[FloatArray]], dict[str, Any]],
    images: int,
    to_numpy: Callable[[NativeTensor], NDArray[Any]],
    to_tensor: Callable[[FloatArray], NativeTensor],
) -> AttentionCapture:
    """Return what a compiled function captures, with the scores scaled as far as float16 allows where it is used.

    Args:
        compiled: The compiled function.
        run: Runs it with the scale of the scores, if it takes one: an empty list or one array.
        images: The number of images, N.
        to_numpy: Copies a tensor to a NumPy array.
        to_tensor: Copies a NumPy array to a tensor.
    """
    captured: dict[str, Any] = {"gradients": None, "xp": keras.ops, "final_activation": compiled.activation}

    def capture(scales: Sequence[FloatArray]) -> tuple[NativeTensor, ...]:
        captured.update(run(scales))
        captured["maps"] = separate_images(captured["maps"], compiled.layouts, images, keras.ops)
        if captured["gradients"] is not None:
            gradients = separate_images(captured["gradients"], compiled.layouts, images, keras.ops, targets=True)
            captured["gradients"] = gradients
        return captured["gradients"] or ()

    if compiled.scale_shape is None:
        capture([])
        return AttentionCapture(**captured)

    def together(scale: FloatArray) -> NativeTensor:
        return joined_gradients(capture([scale]), keras.ops)

    joined = scaled_gradients(together, compiled.scale_shape, keras.ops, to_numpy, to_tensor)
    captured["gradients"] = separate_gradients(joined, captured["maps"], keras.ops)
    return AttentionCapture(**captured)
