"""A linear layer that computes the logits: the gradient of a class by its input is the class's row of the weights.

PyTorch would multiply a one for the class, and zeros for all others, with all of the weights: of a small model with a
thousand classes, that takes longer than the rest of the backward pass.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import torch

from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.torch.private_api import has_tensor_hooks, versions_of
from seewhy.types import NativeTensor

PLAIN = (torch.Tensor, torch.nn.Parameter)
"""The types of tensors that are nothing but their values."""


class LinearLayer(NamedTuple):
    """What a linear layer was given, and what it computed: result = input weights^T + bias.

    Attributes:
        result: (N, C).
        entering: (N, F), its input.
        weights: (C, F).
        bias: (C,), or None.
        versions: How often each was written to when the layer had run.
    """

    result: NativeTensor
    entering: NativeTensor
    weights: NativeTensor
    bias: NativeTensor | None
    versions: Sequence[int | None]

    @classmethod
    def of(
        cls, result: NativeTensor, entering: NativeTensor, weights: NativeTensor, bias: NativeTensor | None = None
    ) -> "LinearLayer":
        """Return the layer that has just run."""
        return cls(result, entering, weights, bias, versions_of([result, entering, weights]))

    def is_unchanged(self) -> bool:
        """Whether the gradients of the result by the input are the weights, as far as can be seen.

        They are not where the weights or the bias are computed from what the input is computed from, where a type
        computes in its own way, or where a hook may change the gradients of the result.
        """
        tensors = [self.result, self.entering, self.weights]
        return (
            all(type(tensor) in PLAIN for tensor in tensors)
            and self.entering.requires_grad
            and self.weights.grad_fn is None
            and (self.bias is None or self.bias.grad_fn is None)
            and versions_of(tensors) == self.versions
            and not has_tensor_hooks(self.result)
            and bool(torch.isfinite(self.result).all())  # zeros times weights that are not finite are no zeros
        )

    def shortcut(self, classes: NativeTensor, evidence: Evidence, key: Hashable) -> "Shortcut":
        """Return the backward pass that begins before the layer, for the logits of classes (N, T).

        Args:
            classes: Their indices.
            evidence: Keeps whether a shortcut gives the same gradients.
            key: Of the run.
        """
        return Shortcut(self.entering, self.weights.detach()[classes.T], evidence, key)


class Shortcut(NamedTuple):
    """A shorter backward pass for gradients of the same targets.

    Attributes:
        output: The tensor that it begins at, (N, F).
        seeds: (T, N, F), the gradients of the targets by that tensor.
        evidence: Keeps whether it gives the same gradients as the whole backward pass.
        key: Of the runs that are alike.
    """

    output: NativeTensor
    seeds: NativeTensor
    evidence: Evidence
    key: Hashable

    @property
    def is_proven(self) -> bool | None:
        """Whether it gave the same gradients in an earlier run; None if that is not known."""
        known: bool | None = self.evidence.get(self.key)
        return known

    def prove(self, *, is_same: bool) -> None:
        """Keep whether it gives the same gradients."""
        self.evidence.add(self.key, is_same)
