"""The tap on a value of a graph: a forward run that returns it, and a backward run that starts at the outputs.

The forward run is the whole model, with the tapped value and what the backward run reads as further outputs. The
backward run begins at derivatives of the objective by the model's outputs, and computes nothing of the trunk.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from seewhy.frameworks import array_namespace as xp
from seewhy.frameworks.layers import LayerCall, no_gradient
from seewhy.frameworks.layouts import channels_last, spatial_axes, targets_second
from seewhy.frameworks.non_relu import GUIDED_RULES, NonReluActivation, check_activations
from seewhy.frameworks.onnx.backward import backward
from seewhy.frameworks.onnx.graph import Graph
from seewhy.frameworks.onnx.graph_builder import GraphBuilder
from seewhy.frameworks.onnx.guided import guided_rules
from seewhy.frameworks.onnx.mean_head import pooled_value
from seewhy.frameworks.onnx.operators.table import GRADIENTS
from seewhy.frameworks.onnx.part import CountSource, Kind, Part, whole
from seewhy.frameworks.onnx.sessions import PartSession, Sessions
from seewhy.matrix_products import product
from seewhy.types import Derivatives, FloatArray, GradientRule

MAX_REPEATED = 2**26
"""The bytes of values of the model up to which all targets share one backward run; else each has its own."""


FEW_SHARE = 16
"""Derivatives of all classes are computed, once, where at least one class in so many is wanted."""


class Backward(NamedTuple):
    """A backward run.

    Attributes:
        session: Computes the gradient, given a derivative for each output and the values that it reads.
        seeds: The names of those derivatives, by output.
        reads: The values of the model that it reads.
        gradient: The name of the gradient.
        is_row_wise: Whether each row of the gradient depends on the same row of what is given alone, so that all
            targets can share one run.
    """

    session: PartSession
    seeds: dict[str, str]
    reads: list[str]
    gradient: str
    is_row_wise: bool


@final
class Tap:
    """What is run to capture one value of a graph.

    Args:
        graph: The model.
        call: The value.
        outputs: The outputs that the objective reads.
        differentiated: Those of them that it depends on.
        derivatives: What is computed besides the forward run.
        gradient_rule: How gradients flow.
        sessions: Makes the sessions.

    Raises:
        MethodError: An operator between the value and the outputs has no gradient here; or the rule is "guided", and
            there is an activation other than ReLUs.
        NoGradientError: The outputs do not depend on the value.
    """

    def __init__(
        self,
        graph: Graph,
        call: LayerCall,
        outputs: Sequence[str],
        differentiated: Sequence[str],
        derivatives: Derivatives,
        gradient_rule: GradientRule,
        sessions: Sessions,
    ) -> None:
        self._graph, self._call = graph, call
        self.value = graph.value_of(call)
        self._rank = len(graph.shape(self.value) or ())
        self._derivatives = derivatives
        self._divisor: int | None = None
        self._weights: NDArray[np.float32] | None = None
        self._rows: dict[int, NDArray[np.float32]] = {}
        self._backward: Backward | None = None
        if derivatives != "none":
            self._compile_backward(differentiated, derivatives, gradient_rule, sessions)
        reads: list[str] = [] if self._backward is None else self._backward.reads
        given = set(graph.inputs)
        self._from_inputs = [name for name in (self.value, *outputs, *reads) if name in given]
        self._forward = sessions.get(whole(graph, [n for n in (self.value, *outputs, *reads) if n not in given]))

    @property
    def has_closed_form(self) -> bool:
        """Whether `closed_form` can be computed, and nothing else."""
        return self._divisor is not None and self._derivatives == "closed_form"

    def forward(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model, and return the values that are needed, by name."""
        return {**self._forward(inputs), **{name: inputs[name] for name in self._from_inputs}}

    def activations(self, values: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Return the tapped value, (N, *space, K)."""
        return np.asarray(channels_last(self._call, values[self.value], xp), dtype=np.float32)

    def gradients(self, values: Mapping[str, NDArray[Any]], seeds: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Return dy/dA, (N, T, *space, K).

        Args:
            values: What `forward` returned.
            seeds: The derivatives of the objective by each output that it depends on, (N, T, ...).
        """
        if self._divisor is not None:
            return self._over_space(self._mean_gradients(values, seeds), values)
        gradients = self._run_backward(values, seeds)
        return np.asarray(targets_second(self._call, gradients, xp), dtype=np.float32)

    def class_gradients(self, values: Mapping[str, NDArray[Any]], classes: NDArray[np.intp]) -> FloatArray | None:
        """Return what `gradients` returns for logits of classes, kept from earlier runs; None for other heads.

        A head that is linear in the mean of the layer has the same derivatives for all inputs.

        Args:
            values: What `forward` returned.
            classes: (N, T).
        """
        output = self._linear_output()
        if output is None or self._backward is None or not self._backward.is_row_wise:
            return None
        return self._over_space(self._class_rows(output, values[output].shape[1], classes), values)

    def closed_form(self, values: Mapping[str, NDArray[Any]], seeds: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Return the sum over channels of activations times gradients, (N, T, *space), one product for all targets."""
        assert self._divisor is not None  # noqa: S101  # the caller asked `has_closed_form`
        activations = self.activations(values)
        images, *space, channels = activations.shape
        positions = activations.reshape(images, -1, channels)
        if (weights := self._linear_weights(seeds, positions.shape)) is not None:
            (seed,) = seeds.values()
            products = np.swapaxes(product(positions, weights.T), 1, 2)  # (N, C, positions), for all classes
            return np.asarray(product(seed, products), np.float32).reshape(images, seed.shape[1], *space)
        by_target = self._mean_gradients(values, seeds)
        products = product(positions, np.swapaxes(by_target, 1, 2))
        return np.swapaxes(products, 1, 2).reshape(images, by_target.shape[1], *space)

    def class_maps(self, values: Mapping[str, NDArray[Any]], classes: NDArray[np.intp]) -> FloatArray | None:
        """Return what `closed_form` returns for logits of classes, without derivatives of each.

        None where the head is not linear, or where so few are wanted that the derivatives of each take less time.

        Args:
            values: What `forward` returned.
            classes: (N, T).
        """
        activations = self.activations(values)
        images, *space, channels = activations.shape
        output = self._linear_output()
        if output is None:
            return None
        count, targets = values[output].shape[1], classes.shape[1]
        if self._weights is None and targets * FEW_SHARE < count:
            return None
        weights = self._all_weights(output, count, channels)
        positions = np.swapaxes(activations.reshape(images, -1, channels), 1, 2)  # (N, K, positions)
        if targets * 2 <= count:
            maps = product(weights[classes], positions)
        else:
            maps = product(weights, positions)
            if not (targets == count and np.array_equal(classes, np.broadcast_to(np.arange(count), classes.shape))):
                maps = np.take_along_axis(maps, classes[..., None], axis=1)
        return maps.reshape(images, targets, *space)

    def _linear_output(self) -> str | None:
        """Return the one output that the objective reads, where the head is linear in the mean of the layer."""
        run = self._backward
        if run is None or self._divisor is None or run.reads or len(run.seeds) != 1:
            return None
        return next(iter(run.seeds))

    def _mean_gradients(
        self, values: Mapping[str, NDArray[Any]], seeds: Mapping[str, NDArray[Any]]
    ) -> NDArray[np.float32]:
        """Return the derivatives (N, T, K) by the activations at each position; the head reads the mean of all."""
        gradients = np.swapaxes(self._run_backward(values, seeds), 0, 1)
        by_mean = np.asarray(gradients.reshape(*gradients.shape[:2], -1), np.float32)
        return by_mean / np.float32(self._divisor)

    def _over_space(self, by_position: NDArray[np.float32], values: Mapping[str, NDArray[Any]]) -> FloatArray:
        """Return derivatives (N, T, K) that are the same at all positions as (N, T, *space, K), without a copy."""
        images, targets, channels = by_position.shape
        space = self.activations(values).shape[1:-1]
        spread = by_position.reshape(images, targets, *(1 for _ in space), channels)
        return np.broadcast_to(spread, (images, targets, *space, channels))

    def _class_rows(self, output: str, count: int, classes: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the derivatives (N, T, K) of classes by the layer's activations at one position."""
        if self._weights is not None:
            return self._weights[classes]
        missing = [index for index in dict.fromkeys(classes.ravel().tolist()) if index not in self._rows]
        if missing:
            seeds = np.zeros((1, len(missing), count), np.float32)
            seeds[0, range(len(missing)), missing] = 1
            self._rows.update(zip(missing, self._mean_gradients({}, {output: seeds})[0], strict=True))
        return np.stack([[self._rows[index] for index in row] for row in classes.tolist()])

    def _all_weights(self, output: str, classes: int, channels: int) -> NDArray[np.float32]:
        """Return the derivatives (C, K) of all classes by the layer's activations at one position."""
        if self._weights is None:
            self._weights = self._mean_gradients({}, {output: np.eye(classes, dtype=np.float32)[None]})[0]
        return self._weights

    def _linear_weights(self, seeds: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Return the derivatives (C, K) of all outputs by the mean, of a head that is linear in it.

        None where it is not, or where so few targets are wanted that the derivatives of each take less time.

        Args:
            seeds: As for `closed_form`.
            shape: (N, positions, K).
        """
        run, (seed, *others) = self._backward, seeds.values()
        _, positions, channels = shape
        if others or seed.ndim != 3 or run is None or run.reads or self._divisor is None:
            return None
        targets, classes = seed.shape[1:]
        if targets * classes * (channels - positions) <= positions * channels * (classes - targets):
            return None
        (name,) = seeds
        return self._all_weights(name, classes, channels)

    def _compile_backward(
        self, outputs: Sequence[str], derivatives: Derivatives, rule: GradientRule, sessions: Sessions
    ) -> None:
        source = self.value
        space = spatial_axes(self._call, self._rank)
        pooled = pooled_value(self._graph, source, space, outputs)
        if pooled is not None and self._graph.dtype(source) != np.float16:
            source, self._divisor = pooled
        elif derivatives == "closed_form":
            return
        others: list[NonReluActivation] = []
        rules = guided_rules(others) if rule in GUIDED_RULES else GRADIENTS
        builder = GraphBuilder(self._graph.opset, [name for node in self._graph.nodes for name in node.output])
        seeds = {output: f"seewhy/seed/{number}" for number, output in enumerate(outputs)}
        builder.reserve(seeds.values())
        gradient = backward(self._graph, builder, seeds, [source], rules)[source]
        check_activations(others, rule)
        if gradient is None:
            raise no_gradient(self._call.path)
        part = Part(
            self._graph,
            list(seeds.values()),
            [gradient],
            (),
            extra_nodes=builder.nodes,
            extra_initializers=builder.initializers,
            kinds={seed: Kind.of(self._graph, output) for output, seed in seeds.items()},
            count_source=CountSource(next(iter(seeds.values())), 0),
        )
        axes = {self._graph.image_axis(name) for name in (source, *outputs, *part.bypass)}
        is_row_wise = axes == {0} and None in (self._graph.shape(source) or ())
        self._backward = Backward(sessions.get(part), seeds, part.bypass, gradient, is_row_wise)

    def _run_backward(self, values: Mapping[str, NDArray[Any]], seeds: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Return gradients (T, ...), each in the layout of what it is the gradient of."""
        assert self._backward is not None  # noqa: S101  # the caller asked for derivatives
        run = self._backward
        images, targets = next(iter(seeds.values())).shape[:2]
        reads = {name: values[name] for name in run.reads}
        given = {run.seeds[output]: self._in_type(output, seed) for output, seed in seeds.items()}
        size = sum(array.nbytes for array in reads.values()) * targets
        if targets > 1 and (not run.is_row_wise or size > MAX_REPEATED):
            parts = [
                run.session({**reads, **{name: seed[:, target] for name, seed in given.items()}})[run.gradient]
                for target in range(targets)
            ]
            return np.stack(parts)
        repeated = {name: np.repeat(array, targets, axis=0) for name, array in reads.items()} if targets > 1 else reads
        rows = {name: seed.reshape(images * targets, *seed.shape[2:]) for name, seed in given.items()}
        gradients = run.session({**repeated, **rows})[run.gradient]
        if targets == 1:
            return gradients[None]
        return np.swapaxes(gradients.reshape(images, targets, *gradients.shape[1:]), 0, 1)

    def _in_type(self, output: str, seed: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(seed, dtype=self._graph.dtype(output))
