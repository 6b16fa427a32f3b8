"""Finding attention maps in the operations of a traced model, whatever its layers are called.

A map is a softmax over keys whose result is multiplied with values and summed over the keys: one value for each query
remains. Between the softmax and that product there may be operations that keep or mix the axes of attention heads
and windows.
Not attention are softmaxes whose result weights branches or experts, which have no queries; softmaxes over channels;
and the final activation.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from seewhy.frameworks.axis_labels import Labels, OperationAxes, Shape
from seewhy.frameworks.dataflow import Operation, links
from seewhy.frameworks.layers import MIXED_WEIGHTS
from seewhy.types import NativeTensor

AxisOrigin = Literal["tokens", "learned", "channels"]
"""What an axis holds: positions of the input, queries that the model has learned, or what a layer's weights compute."""


class AttentionMap(NamedTuple):
    """One attention map, as axes of the softmax's result.

    Attributes:
        softmax: The result of the softmax.
        values: What it is multiplied with.
        others: The axes of images, windows and attention heads.
        groups: The axes of attention heads that share their values.
        queries: The axes of the tokens that attend.
        keys: The axes of the tokens that are attended to, in which the softmax sums to 1.
    """

    softmax: NativeTensor
    values: NativeTensor
    others: tuple[int, ...]
    groups: tuple[int, ...]
    queries: tuple[int, ...]
    keys: tuple[int, ...]


class FoundAttention(NamedTuple):
    """The attention maps of a model, in the order in which they are computed.

    Attributes:
        maps: The maps.
        obstacle: What keeps the maps from being captured, as in "combines ..."; empty if nothing does.
        links: Whether the values of each map but the first are computed from the map before it.
    """

    maps: tuple[AttentionMap, ...]
    obstacle: str = ""
    links: tuple[bool, ...] = ()


class Softmax(NamedTuple):
    """The result of a softmax, and the axes in which it sums to 1."""

    result: NativeTensor
    axes: frozenset[int]


class _Followed(NamedTuple):
    """What operations made of a softmax's result.

    Attributes:
        tensor: The tensor.
        origins: For each of its axes, the axes of the softmax that it comes from.
        is_mixed: Whether other weights were added.
    """

    tensor: NativeTensor
    origins: tuple[frozenset[int], ...]
    is_mixed: bool = False


class AxisGraph(ABC):
    """The operations of a traced model, as far as it takes to follow axes through them."""

    @abstractmethod
    def operations(self) -> Iterable[Any]:
        """Return all operations, in the order in which they run."""

    @abstractmethod
    def producer(self, tensor: NativeTensor) -> Any:
        """Return the operation that computes a tensor; None for an input or a constant."""

    @abstractmethod
    def consumers(self, tensor: NativeTensor) -> Iterable[Any]:
        """Return the operations that read a tensor."""

    @abstractmethod
    def operands(self, operation: Any) -> Sequence[NativeTensor]:
        """Return the tensors that an operation reads."""

    @abstractmethod
    def results(self, operation: Any) -> Sequence[NativeTensor]:
        """Return the tensors that an operation computes."""

    @abstractmethod
    def shape(self, tensor: NativeTensor) -> Shape:
        """Return the shape of a tensor."""

    @abstractmethod
    def axes(self, operation: Any) -> OperationAxes | None:
        """Return the labels of an operation's axes; None where they are unknown."""

    @abstractmethod
    def kind(self, operation: Any) -> str:
        """Return what an operation does, by one name for all backends.

        Known are "softmax", see `softmax_axes`, and the parts of a softmax in steps: "exp", "sum", "divide",
        "subtract", "add", "log" and "abs"; "reshape"; and "same", whose result has the values of the first operand,
        cast or repeated. Other operations have the name that the framework gives them.
        """

    @abstractmethod
    def is_data(self, tensor: NativeTensor) -> bool:
        """Whether a tensor depends on the model's input; weights and shapes do not."""

    @abstractmethod
    def flow(self) -> Sequence[Operation]:
        """Return what every operation reads and computes, in the order in which they run."""

    def reference(self, tensor: NativeTensor) -> Hashable:
        """Return what stands for a tensor in `flow`."""
        return tensor  # type: ignore[no-any-return]

    def name(self, operation: Any) -> str:
        """Return the `kind` of an operation; "same" for a reshape that adds or removes axes of size 1 only."""
        kind = self.kind(operation)
        if kind != "reshape":
            return kind
        ends = (self.operands(operation)[0], self.results(operation)[0])
        before, after = ([size for size in self.shape(tensor) if size != 1] for tensor in ends)
        return "same" if before == after else kind

    def softmax_axes(self, operation: Any) -> frozenset[int]:
        """Return the axes in which the result of a softmax sums to 1, the last one where it can have no other."""
        return frozenset({len(self.shape(self.results(operation)[0])) - 1})

    def is_same(self, first: NativeTensor, second: NativeTensor) -> bool:
        """Whether two values are one tensor."""
        return first is second


def find_attention(graph: AxisGraph) -> FoundAttention:
    """Find the attention maps of a model."""
    found = []
    for operation in graph.operations():
        softmax = _softmax(graph, operation)
        if softmax is not None and graph.is_data(softmax.result):
            attention = _attention(graph, softmax)
            if attention == MIXED_WEIGHTS:
                return FoundAttention((), MIXED_WEIGHTS)
            found += [attention] if isinstance(attention, AttentionMap) else []
    softmaxes, values = (
        [graph.reference(tensor) for tensor in tensors]
        for tensors in ([each.softmax for each in found], [each.values for each in found])
    )
    return FoundAttention(tuple(found), links=links(graph.flow(), softmaxes, values) if found else ())


def _softmax(graph: AxisGraph, operation: Any) -> Softmax | None:
    """Read a softmax: one operation, exp(x) / sum(exp(x)), or exp(x - log(sum(exp(x))))."""
    name = graph.name(operation)
    if name not in ("softmax", "divide", "exp"):
        return None
    result, operands = graph.results(operation)[0], graph.operands(operation)
    if name == "softmax":
        return Softmax(result, graph.softmax_axes(operation))
    if name == "divide":
        exponential, summation = graph.producer(_source(graph, operands[0])), _source(graph, operands[1])
        return _normalized(graph, result, exponential, graph.producer(summation))
    difference = graph.producer(_source(graph, operands[0]))
    if difference is None or graph.name(difference) != "subtract":
        return None
    normalizer = graph.producer(_source(graph, graph.operands(difference)[1]))
    terms = [normalizer] if normalizer is not None and graph.name(normalizer) == "log" else []
    if normalizer is not None and graph.name(normalizer) == "add":  # log(sum(exp(x - max))) + max
        terms = [graph.producer(_source(graph, term)) for term in graph.operands(normalizer)]
    logarithm = next((term for term in terms if term is not None and graph.name(term) == "log"), None)
    if logarithm is None:
        return None
    summation = graph.producer(_source(graph, graph.operands(logarithm)[0]))
    if summation is not None and graph.name(summation) == "abs":  # JAX takes it of the sum of signed exponentials
        summation = graph.producer(_source(graph, graph.operands(summation)[0]))
    exponential = _summed(graph, summation)
    return None if exponential is None else _over_summed_axes(graph, result, summation)


def _normalized(graph: AxisGraph, result: NativeTensor, exponential: Any, summation: Any) -> Softmax | None:
    """Read exp(x) / sum(exp(x)), with exp(x) computed once or twice."""
    summed = _summed(graph, summation)
    if exponential is None or summed is None or graph.name(exponential) != "exp":
        return None
    exponents = [_source(graph, graph.operands(operation)[0]) for operation in (exponential, summed)]
    return _over_summed_axes(graph, result, summation) if graph.is_same(*exponents) else None


def _summed(graph: AxisGraph, summation: Any) -> Any:
    """Return the exponential whose sum this is; None for any other operation."""
    if summation is None or graph.name(summation) != "sum":
        return None
    exponential = graph.producer(_source(graph, graph.operands(summation)[0]))
    return exponential if exponential is not None and graph.name(exponential) == "exp" else None


def _over_summed_axes(graph: AxisGraph, result: NativeTensor, summation: Any) -> Softmax | None:
    """Return a softmax over the axes that a sum sums over; None where the sum has other axes than the softmax."""
    axes = graph.axes(summation)
    if axes is None or len(axes.operands[0]) != len(graph.shape(result)):
        return None
    return Softmax(result, frozenset(axis for axis, label in enumerate(axes.operands[0]) if label not in axes.result))


def _source(graph: AxisGraph, tensor: NativeTensor) -> NativeTensor:
    """Return a tensor before operations that keep its values."""
    while (operation := graph.producer(tensor)) is not None and graph.name(operation) == "same":
        tensor = graph.operands(operation)[0]
    return tensor


def _attention(graph: AxisGraph, softmax: Softmax) -> AttentionMap | str | None:
    """Return the map of a softmax whose result is multiplied with values; None for any other softmax.

    `MIXED_WEIGHTS` where the values are multiplied with more than the softmax.
    """
    axes_of_map = tuple(frozenset({axis}) for axis in range(len(graph.shape(softmax.result))))
    pending = [_Followed(softmax.result, axes_of_map)]
    visited = set()
    while pending:
        followed = pending.pop()
        for operation, position, axes in _uses(graph, followed.tensor):
            own = axes.operands[position]
            keys = {label for label, origin in zip(own, followed.origins, strict=True) if origin & softmax.axes}
            if keys.isdisjoint(axes.result):
                attention = _product(graph, softmax, operation, position, axes, followed.origins)
                if attention is not None:
                    return MIXED_WEIGHTS if followed.is_mixed else attention
            elif keys.issubset(axes.result) and id(operation) not in visited:
                visited.add(id(operation))
                origins = tuple(_origin(label, own, followed.origins) for label in axes.result)
                is_mixed = followed.is_mixed or _adds_weights(graph, operation, position, axes, keys)
                pending += [_Followed(result, origins, is_mixed) for result in graph.results(operation)]
    return None


def _origin(label: Hashable, own: Labels, origins: Sequence[frozenset[int]]) -> frozenset[int]:
    """Return the axes of the softmax that an axis with this label comes from."""
    return frozenset().union(*(origin for each, origin in zip(own, origins, strict=True) if each == label))


def _adds_weights(graph: AxisGraph, operation: Any, position: int, axes: OperationAxes, keys: set[Hashable]) -> bool:
    """Whether an operation adds a weight of its own for each key."""
    others = [labels for place, labels in enumerate(axes.operands) if place != position]
    return graph.name(operation) in ("add", "subtract") and any(not keys.isdisjoint(labels) for labels in others)


def _uses(graph: AxisGraph, tensor: NativeTensor) -> Iterator[tuple[Any, int, OperationAxes]]:
    """Yield the operations that read a tensor, which operand it is, and their labels."""
    for operation in graph.consumers(tensor):
        axes = graph.axes(operation)
        if axes is None or any(len(graph.shape(result)) != len(axes.result) for result in graph.results(operation)):
            continue
        for position, operand in enumerate(graph.operands(operation)):
            if graph.is_same(operand, tensor) and len(axes.operands[position]) == len(graph.shape(tensor)):
                yield operation, position, axes


def _product(
    graph: AxisGraph,
    softmax: Softmax,
    operation: Any,
    position: int,
    axes: OperationAxes,
    origins: Sequence[frozenset[int]],
) -> AttentionMap | None:
    """Return the map if an operation multiplies the softmax's result with values and sums over the keys."""
    if not axes.is_product:
        return None
    own, others = axes.operands[position], axes.operands[1 - position]
    values = graph.operands(operation)[1 - position]
    keys = {label for label, origin in zip(own, origins, strict=True) if origin & softmax.axes}
    if not keys.issubset(others) or not graph.is_data(values):
        return None
    if _axis_origin(graph, values, {axis for axis, label in enumerate(others) if label in keys}) != "tokens":
        return None  # the keys are channels
    free = {
        axis
        for label, origin in zip(own, origins, strict=True)
        if label in axes.result and label not in others
        for axis in origin
    }
    if not free or free & softmax.axes:
        return None  # without queries, the softmax weights branches
    origins_of = {axis: _axis_origin(graph, softmax.result, {axis}) for axis in sorted(free)}
    queries = {axis for axis, origin in origins_of.items() if origin == "tokens"}
    if not queries:  # learned queries, but for their last axis in attention heads that share values
        queries = {axis for axis, origin in origins_of.items() if origin == "learned"} and {max(free)}
    if not queries:
        return None  # a softmax of channels, as of the keys in linear attention
    others_axes = set(range(len(graph.shape(softmax.result)))) - free - softmax.axes
    parts = (others_axes, free - queries, queries, softmax.axes)
    return AttentionMap(softmax.result, values, *(tuple(sorted(part)) for part in parts))


def _axis_origin(graph: AxisGraph, tensor: NativeTensor, axes: set[int]) -> AxisOrigin:
    """Return what axes hold. The nearest product with weights decides."""
    while graph.is_data(tensor):
        operation = graph.producer(tensor)
        found = graph.axes(operation) if operation is not None else None
        if found is None or len(found.result) != len(graph.shape(tensor)):
            return "tokens"  # an input, or unknown
        labels = {found.result[axis] for axis in axes}
        sources = [
            (operand, {axis for axis, label in enumerate(own) if label in labels})
            for operand, own in zip(graph.operands(operation), found.operands, strict=True)
            if len(own) == len(graph.shape(operand))
        ]
        of_data = [(operand, own) for operand, own in sources if graph.is_data(operand)]
        following = next(((operand, own) for operand, own in of_data if own), None)
        if following is None:
            return "learned" if any(own and _is_computed(graph, operand) for operand, own in sources) else "channels"
        if found.is_product and len(of_data) == 1:
            return "tokens"
        tensor, axes = following
    return "learned" if _is_computed(graph, tensor) else "channels"


def _is_computed(graph: AxisGraph, tensor: NativeTensor) -> bool:
    """Whether a tensor that depends on no input is a product, as of learned queries and weights, and no weight."""
    pending = [tensor]
    while pending:
        operation = graph.producer(pending.pop())
        if operation is not None:
            axes = graph.axes(operation)
            if axes is not None and axes.is_product:
                return True
            pending += graph.operands(operation)
    return False
