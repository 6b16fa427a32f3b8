"""Whether attention maps of a PyTorch model follow each other, told from its autograd graph."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import final

from torch.autograd.graph import GradientEdge, get_gradient_edge

from seewhy.frameworks.dataflow import links
from seewhy.frameworks.torch.attention_recorder import AttentionRecorder
from seewhy.frameworks.torch.carrying_calls import edge_key, operations_before
from seewhy.frameworks.torch.without_autograd import Trunk
from seewhy.types import NativeTensor


@final
class LinkRecorder(AttentionRecorder):
    """Records where softmaxes, and the values that they are multiplied with, are in the autograd graph.

    Args:
        weights: As in `AttentionRecorder`.
        trunk: Runs the model before the first softmax.
    """

    def __init__(self, weights: Iterable[NativeTensor], trunk: Trunk) -> None:
        super().__init__(weights)
        self._trunk = trunk
        self._softmaxes: list[GradientEdge] = []
        self._values: dict[int, GradientEdge] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Observe the model while this is open, inside of its trunk."""
        with self._trunk, self:
            yield

    def softmax_computed(self, weights: NativeTensor) -> NativeTensor:
        if not self._softmaxes:
            self._trunk.end("attention", with_gradients=True)
        if not weights.requires_grad:
            weights = weights.detach().requires_grad_()
        self._softmaxes.append(get_gradient_edge(weights))
        return weights.clone()  # the model may work in place on it

    def values_read(self, position: int, values: NativeTensor) -> None:
        if values.requires_grad:
            self._values[position] = get_gradient_edge(values)

    def links(self, positions: Sequence[int]) -> tuple[bool, ...]:
        """Return whether the values of each map but the first are computed from the map before it.

        Args:
            positions: Which of the softmaxes are maps.
        """
        softmaxes = [self._softmaxes[position] for position in positions]
        values = [self._values.get(position) for position in positions]
        operations = operations_before([*softmaxes, *(edge for edge in values if edge is not None)])
        return links(operations, list(map(edge_key, softmaxes)), [edge and edge_key(edge) for edge in values])
