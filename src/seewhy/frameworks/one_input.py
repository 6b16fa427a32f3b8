"""A model with several inputs as a model with one: the image that is explained, while the others keep their values.

What is done for a model with one input is so done for each input of a model with several: the search for a layer,
perturbations, the measurement of where a heatmap lies. Layers that are computed from other images too are no candidates
of "auto", for their positions show all of these images.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn, final

import numpy as np

from seewhy.errors import InputError, LayerError, did_you_mean
from seewhy.frameworks.base import Framework, Head
from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import INPUT, LayerCall, LayerChoice
from seewhy.frameworks.stem import StemValues
from seewhy.frameworks.structures import InputBatch, InputSpec, check_arrays, is_float, leaves, map_tree, shape_key
from seewhy.frameworks.wrapper import FrameworkWrapper
from seewhy.targets import Objective
from seewhy.types import AttentionCapture, Capture, Derivatives, FloatArray, GradientRule, Tensor

MAX_NAMED = 12
"""How many layers an error names."""


@final
class OneInput(FrameworkWrapper):
    """Runs a model with several inputs on images of one of them.

    Args:
        framework: Runs the model.
        inputs: One value of each input, (1, ...), in the structure that the model takes.
        leaf: Which of them is explained, by its position among `leaves`.
        images: The positions of all inputs that are images.
    """

    def __init__(self, framework: Framework, inputs: InputBatch, leaf: int, images: Sequence[int]) -> None:
        super().__init__(framework)
        self._inputs, self._leaf = inputs, leaf
        self._others = frozenset(images) - {leaf}

    @property
    def input_name(self) -> str:
        """The name of the input that is explained."""
        return self._framework.input_names(self._inputs)[self._leaf]

    @property
    def evidence(self) -> Evidence:
        """What runs of the model have shown about this input, whatever the values of the others were."""
        key = ("one input", self._leaf, self._others, shape_key(self._inputs))
        evidence: Evidence | None = self._framework.evidence.get(key)
        if evidence is None:
            evidence = Evidence()
            self._framework.evidence.add(key, evidence)
        return evidence

    @property
    def channels_first(self) -> bool:
        return self._framework.has_channels_first(self._inputs, self._leaf)

    def own_calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        """Return the calls that are computed from this image and from no other."""
        origins = self._framework.origins(self._inner_inputs(inputs))
        return tuple(call for call in self._all_calls(inputs) if self._is_own(origins.get(_key(call))))

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        """Return all calls; those that are not of this image alone are no candidates of "auto"."""
        origins = self._framework.origins(self._inner_inputs(inputs))
        return tuple(
            call if self._is_own(origins.get(_key(call))) else replace(call, is_auxiliary=True)
            for call in self._all_calls(inputs)
        )

    def depends_on_image(self, inputs: InputBatch, layer: LayerChoice) -> bool:
        """Whether a call that a choice may select is computed from this image, or may be."""
        origins = self._framework.origins(self._inner_inputs(inputs))
        named = [call for call in self._all_calls(inputs) if layer.admits(call)]
        return not named or any(self._leaf in origins.get(_key(call), {self._leaf}) for call in named)

    def is_shared(self, inputs: InputBatch, layer: LayerChoice) -> bool:
        """Whether the call that a choice selects is computed from this image and others together."""
        chosen, origins = self._resolved(inputs, layer), self._framework.origins(self._inner_inputs(inputs))
        call = next((call for call in reversed(self._all_calls(inputs)) if chosen.admits(call)), None)
        found = frozenset[int]() if call is None else origins.get(_key(call), frozenset())
        return self._leaf in found and not found.isdisjoint(self._others)

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> Tensor | None:
        return self._framework.predict(self._inner_inputs(inputs), output)

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        chosen = self._resolved(inputs, layer)
        return self._framework.capture(self._inner_inputs(inputs), chosen, objective, derivatives, gradient_rule)

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        raise LayerError(
            "The attention maps of a model with several inputs are not told apart by input. Use a method that explains "
            f"a layer, such as gradcam, or the input {self.input_name!r}, such as integrated_gradients."
        )

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        return ()

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        return ()

    def untold_attention(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        return self._framework.attention_shapes(self._inner_inputs(inputs))

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        return self._framework.head(self._inner_inputs(inputs), self._resolved(inputs, layer), objective)

    def clamp(self, inputs: InputBatch, layer: LayerChoice, objective: Objective, activations: FloatArray) -> Tensor:
        return self._framework.clamp(self._inner_inputs(inputs), self._resolved(inputs, layer), objective, activations)

    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        return self._framework.moves_image(self._inner_inputs(inputs), self._resolved(inputs, layer), self._leaf)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        return self._framework.stem_values(self._inner_inputs(inputs), self._resolved(inputs, layer), self._leaf)

    def with_kernels(self, kernels: Kernels) -> NoReturn:
        raise NotImplementedError

    def input_shape(self) -> Any:
        return (None, *leaves(self._inputs)[self._leaf].shape[1:])

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        return check_arrays(inputs, self.input_shape())

    def _inner_inputs(self, images: InputBatch) -> InputBatch:
        """Return all inputs for images of the one that is explained: the others are repeated."""
        arrays = [np.repeat(array, len(images), axis=0) for array in leaves(self._inputs)]
        arrays[self._leaf] = images
        values = iter(arrays)
        return map_tree(lambda _: next(values), self._inputs)

    def _all_calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._framework.calls(self._inner_inputs(inputs))

    def _is_own(self, origins: frozenset[int] | None) -> bool:
        return origins is not None and self._leaf in origins and origins.isdisjoint(self._others)

    def _resolved(self, inputs: InputBatch, layer: LayerChoice) -> LayerChoice:
        """Return the input of this image; the last candidate for "auto"; of a path the last call of this image."""
        if layer.is_input:
            return LayerChoice(INPUT, self._leaf + 1)
        if layer.number is not None:
            return layer
        calls, own = self._all_calls(inputs), self.own_calls(inputs)
        admitted = next((call for call in reversed(own) if layer.admits(call)), None)
        if admitted is not None:
            is_called_once = Counter(call.path for call in calls)[admitted.path] == 1
            return LayerChoice(admitted.path) if is_called_once else LayerChoice(admitted.path, admitted.number)
        if layer.is_auto:
            raise self._no_layer(calls, own)
        return layer

    def _no_layer(self, calls: Sequence[LayerCall], own: Sequence[LayerCall]) -> LayerError:
        """Return the error for "auto" where no layer with positions is computed from this image alone."""
        spatial = [call.path for call in calls if call.is_candidate]
        named = ", ".join(spatial[:MAX_NAMED]) or "none"
        paths = [call.path for call in own if call.shape is not None]
        before = f" (of the layers computed from it alone, {', '.join(paths[:MAX_NAMED])}, none has)" if paths else ""
        return LayerError(
            f"layer='auto' found no layer with spatial output that is computed from {self.input_name!r} and from no "
            f"other image{before}. A layer after the images were joined shows all of them. Use a method that explains "
            f"the input, such as integrated_gradients or occlusion, or name a layer: {named}."
        )


def calls_by_input(framework: Framework, inputs: InputBatch) -> tuple[LayerCall, ...]:
    """Return the calls of all layers; of a model with several inputs, with those that each is computed from."""
    calls = framework.calls(inputs)
    if len(leaves(inputs)) == 1:
        return calls
    names, origins = framework.input_names(inputs), framework.origins(inputs)
    return tuple(
        replace(call, inputs=tuple(names[leaf] for leaf in sorted(origins.get(_key(call), ())))) for call in calls
    )


def image_leaves(inputs: InputBatch) -> tuple[int, ...]:
    """Return the positions of the inputs that have positions: images, signals and volumes."""
    arrays = leaves(inputs)
    return tuple(leaf for leaf, array in enumerate(arrays) if array.ndim > 2 and is_float(array))


def find_leaf(framework: Framework, inputs: InputBatch, name: str | int) -> int:
    """Return the position of an input that is given by its name or position.

    Raises:
        InputError: There is no such input, or it has no positions.
    """
    names = framework.input_names(inputs)
    is_number = isinstance(name, (int, np.integer)) and not isinstance(name, bool)
    is_position = is_number and 0 <= int(name) < len(names)
    if not is_position and name not in names:
        known = ", ".join(map(repr, names))
        raise InputError(f"The model has no input {name!r}; its inputs are {known}.{did_you_mean(str(name), names)}")
    leaf = int(name) if is_position else names.index(str(name))
    if leaf not in image_leaves(inputs):
        array = leaves(inputs)[leaf]
        raise InputError(
            f"The input {names[leaf]!r} has the shape {tuple(array.shape)} and the type {array.dtype}, and no "
            "positions to show on a heatmap; expected floating-point numbers with more than two axes."
        )
    return leaf


def _key(call: LayerCall) -> tuple[str, int]:
    return (call.path, call.execution)
