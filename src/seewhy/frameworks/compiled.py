"""Compiled functions, cached for the next call."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from seewhy import timing
from seewhy.frameworks.layers import LayerCall
from seewhy.frameworks.loss_scale import scaled_gradients
from seewhy.targets.target import Shape
from seewhy.threads import ForkSafeLock
from seewhy.timing import Phase
from seewhy.types import Capture, FinalActivation, FloatArray, Namespace, NativeTensor

_logger = logging.getLogger("seewhy.frameworks")

MAX_COMPILED = 16
"""The size of a cache of compiled functions, of some 10 MB each; the least recently used one is dropped."""


class CompiledCache:
    """A thread-safe least-recently-used cache of values that are costly to compute."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = ForkSafeLock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """Return the entry of a key, built if it is missing."""
        with self._lock.lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        # Without the lock: a trace takes a second, and other shapes need not wait. Two threads may build one entry.
        started = time.perf_counter()
        with timing.phase(Phase.COMPILING):
            entry = build()
        _logger.debug("%s made in %.2f s", type(entry).__name__, time.perf_counter() - started)
        with self._lock.lock:
            entry = self._entries.setdefault(key, entry)
            while len(self._entries) > MAX_COMPILED:
                self._entries.popitem(last=False)
        return entry


class CompiledCapture(NamedTuple):
    """A compiled function that computes a capture, and facts from its trace.

    Attributes:
        function: From the inputs and a target's arrays to the tensors of a `Capture`, by name.
        layer: The name of the tapped layer.
        shape: The shape of the selected output; None where the objective reads all outputs.
        activation: The final activation of that output, as `Capture.final_activation`.
        scale_shape: The shape (N, T) of the scale of the scores, which the function then takes before a target's
            arrays; (1, 1) where T is known only when it runs. None where nothing is computed in float16.
        is_bypassed: As `Capture.is_bypassed`.
    """

    function: Callable[..., Any]
    layer: str
    shape: Shape | None
    activation: FinalActivation | None
    scale_shape: tuple[int, int] | None = None
    is_bypassed: bool | None = None

    def capture(
        self,
        run: Callable[[Sequence[FloatArray]], dict[str, NativeTensor]],
        xp: Namespace,
        to_numpy: Callable[[NativeTensor], NDArray[Any]],
        to_tensor: Callable[[FloatArray], NativeTensor],
    ) -> Capture:
        """Return what the function captures, with the scores scaled as far as float16 allows where it is used.

        Args:
            run: Runs the function with the scale of the scores, if it takes one: an empty list or one array.
            xp: The namespace of the tensors.
            to_numpy: Copies a tensor to a NumPy array.
            to_tensor: Copies a NumPy array to a tensor.
        """
        captured: dict[str, NativeTensor] = {"gradients": None}
        if self.scale_shape is None:
            captured.update(run([]))
        else:

            def gradients(scale: FloatArray) -> NativeTensor:
                captured.update(run([scale]))
                return captured["gradients"]

            captured["gradients"] = scaled_gradients(gradients, self.scale_shape, xp, to_numpy, to_tensor)
        return Capture(
            **captured, layer=self.layer, xp=xp, final_activation=self.activation, is_bypassed=self.is_bypassed
        )


class CompiledHead(NamedTuple):
    """A compiled trunk and head, and facts from their trace.

    Attributes:
        trunk: From the inputs to the tensors that bypass the layer.
        head: From perturbations of the layer's output, those tensors and a target's arrays to scores.
        call: The layer's call.
        shape: The shape of the selected output; None where the objective reads all outputs.
    """

    trunk: Callable[..., Any]
    head: Callable[..., Any]
    call: LayerCall
    shape: Shape | None


def timed_first_call(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with its first call, in which the framework compiles it, timed as compiling."""
    is_compiled = False

    def run(*arguments: Any) -> Any:
        nonlocal is_compiled
        if is_compiled:
            return function(*arguments)
        with timing.phase(Phase.COMPILING):
            result = function(*arguments)
        is_compiled = True
        return result

    return run
