"""The tap on PyTorch, for native modules and for Keras models: only one layer's output is differentiated."""

from functools import partial
from typing import Any, NamedTuple

import torch

from seewhy.errors import LayerError
from seewhy.frameworks.layers import INPUT, LayerCall, no_gradient
from seewhy.frameworks.layouts import spatial_axes, targets_second
from seewhy.frameworks.loss_scale import scaled_gradients
from seewhy.frameworks.non_relu import GUIDED_RULES
from seewhy.frameworks.outputs import SelectedOutputs
from seewhy.frameworks.recorder import Recorder
from seewhy.frameworks.structures import map_tree
from seewhy.frameworks.torch.guided import guide_relus
from seewhy.frameworks.torch.linear_layer import Shortcut
from seewhy.frameworks.torch.mean_head import closed_form, pooled_mean
from seewhy.frameworks.torch.private_api import has_result_of
from seewhy.frameworks.torch.tensors import to_array
from seewhy.frameworks.torch.without_autograd import Trunk
from seewhy.types import Derivatives, FloatArray, GradientRule, Namespace, NativeTensor

TARGETS_AT_ONCE = 32
"""The number of targets that share a backward pass. More are hardly faster, and take the memory of all of them."""


class TorchTap(Recorder):
    """Makes the output of one call of one layer, or the model's input, the only tensor that is differentiated.

    Args:
        call: The call to tap; `INPUT_CALL` taps the input.
        trunk: Runs the model before that call; None to run trunk and head alike.
        derivatives: What is computed; with "none" no gradients are recorded.
        gradient_rule: How gradients flow from the scores to the tap.
    """

    def __init__(
        self,
        call: LayerCall,
        trunk: Trunk | None = None,
        derivatives: Derivatives = "none",
        gradient_rule: GradientRule = "plain",
    ) -> None:
        self.call = call
        self.path = call.path
        self.output: NativeTensor = None
        self._calls_left = call.execution
        self._trunk = trunk
        self._derivatives = derivatives
        self._gradient_rule = gradient_rule
        self._layers_by_node: dict[Any, str] = {}  # by the autograd node of a layer's output

    @property
    def wants_gradients(self) -> bool:
        """Whether gradients are computed."""
        return self._derivatives == "gradients"

    @property
    def is_guided(self) -> bool:
        """Whether ReLUs pass only positive gradients."""
        return self._derivatives == "gradients" and self._gradient_rule in GUIDED_RULES

    def hooked_layers(self, layers: dict[str, Any]) -> dict[str, Any]:
        """Return the layers that need a hook: the tapped one, none for the input, or all to name guided activations."""
        if self.is_guided:
            return layers
        return {} if self.path == INPUT else {self.path: layers[self.path]}

    def enter(self, batch: Any) -> Any:
        """Return the model's input batch, tapped if the input is explained."""
        return map_tree(lambda image: self.record(INPUT, None, image), batch) if self.path == INPUT else batch

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        """Tap the chosen call, and record gradients from there on."""
        if path != self.path and isinstance(output, torch.Tensor):
            self._layers_by_node.setdefault(output.grad_fn, path)
        self._calls_left -= path == self.path
        if self._calls_left or path != self.path:
            return output
        # Two copies: the model may hold the layer's output elsewhere and write to it, so the tap keeps a copy of its
        # own; and the next layer may work in place, so the model continues with another.
        self.output = output.detach().clone()
        if self._trunk is not None:
            self._trunk.end(path, with_gradients=self._derivatives != "none")
        if self._derivatives == "none":
            return output
        self.output.requires_grad_()
        return self.output.clone()

    def check(self) -> None:
        """Raise LayerError unless the layer was called as in the recorded run."""
        if self.output is None:
            raise LayerError(
                f"The layer {self.path!r} was called in an earlier run but not in this one: which layers the model "
                "calls depends on its input. Give a layer that is always called."
            )

    def apply_gradient_rule(self, selected: SelectedOutputs) -> None:
        """Guide the ReLUs between the tap and the logits, if that is the gradient rule."""
        if self.is_guided and selected.one_logits.requires_grad:
            guide_relus(selected.one_logits, self.output, self._layers_by_node, self._gradient_rule)

    def gradients(self, scores: NativeTensor, xp: Namespace, shortcut: Shortcut | None = None) -> NativeTensor | None:
        """Return the gradients (N, T, *space, K) of float32 scores (N, T); None if none are wanted.

        They are those of the sum over the images, so no score may depend on more than one image.

        Args:
            scores: Computed from the tapped output.
            xp: The namespace.
            shortcut: Computes the same in a shorter backward pass; None where there is none.
        """
        if self._derivatives != "gradients":
            return None
        if not scores.requires_grad:
            raise no_gradient(self.path)
        uses_float16, has_python_backward = backward_facts(scores)
        if not uses_float16:
            if shortcut is not None and not has_python_backward:
                return self._short_gradients(scores, shortcut)
            return self._gradients(_totals(scores), batched=not has_python_backward)

        def run(scale: FloatArray) -> NativeTensor:
            totals = (scores * to_tensor(scale)).sum(dim=0)
            return self._gradients(totals, batched=not has_python_backward, keep_graph=True)

        to_tensor = partial(torch.tensor, device=scores.device)
        return scaled_gradients(run, tuple(scores.shape), xp, to_array, to_tensor)

    def closed_form(self, scores: NativeTensor, activations: NativeTensor) -> NativeTensor | None:
        """Return the closed form (N, T, *space) of scores (N, T).

        None if it is not wanted, or if the scores depend on more of the layer than its spatial mean.
        """
        if self._derivatives != "closed_form" or not scores.requires_grad:
            return None
        if any(backward_facts(scores)) or self.call.frames > 1:
            return None  # gradients are scaled instead, which float16 is too narrow for; a mean may be of one frame
        mean = pooled_mean(scores, self.output, spatial_axes(self.call, self.output.ndim))
        return None if mean is None else closed_form(scores, mean, activations)

    def _short_gradients(self, scores: NativeTensor, shortcut: Shortcut) -> NativeTensor:
        """Return the gradients by a shortcut, if it gave the same in a run before; this run may show it."""
        if shortcut.is_proven:
            return self._gradients(shortcut.output, shortcut.seeds)
        gradients = self._gradients(_totals(scores), keep_graph=shortcut.is_proven is None)
        if shortcut.is_proven is None:
            shortcut.prove(is_same=torch.equal(gradients, self._gradients(shortcut.output, shortcut.seeds)))
        return gradients

    def _gradients(
        self,
        output: NativeTensor,
        seeds: NativeTensor | None = None,
        *,
        batched: bool = True,
        keep_graph: bool = False,
    ) -> NativeTensor:
        """Return the gradients (N, T, *space, K) of an output.

        Args:
            output: Totals (T,), each of which is a target, or a single one (1, 1); or what `seeds` are the gradients
                of the targets by.
            seeds: (T, ...), in the shape of the output; None for the totals themselves.
            batched: Whether targets share backward passes.
            keep_graph: Whether the same is differentiated once more.
        """
        if seeds is None and len(output) > 1:
            seeds = torch.eye(len(output), dtype=output.dtype, device=output.device)
        if seeds is None or len(seeds) == 1:
            gradients = self._backward(output, seeds, is_last=not keep_graph)
            gradients = gradients if batched else gradients.clone()  # a backward of the model's own may use it again
        else:
            parts = torch.split(seeds, TARGETS_AT_ONCE if batched else 1)
            by_target = [self._backward(output, part, is_last=part is parts[-1] and not keep_graph) for part in parts]
            gradients = torch.cat(by_target) if len(by_target) > 1 else by_target[0]
        return targets_second(self.call, gradients.float(), torch)

    def _backward(self, output: NativeTensor, seeds: NativeTensor | None, *, is_last: bool) -> NativeTensor:
        """Run one backward pass for these seeds, (t, ...), and return (t, ...).

        A single total needs no seed. For a seed PyTorch imports SymPy, which takes a third of a second.
        """
        batched = seeds is not None and len(seeds) > 1
        (gradients,) = torch.autograd.grad(
            output,
            self.output,
            seeds if seeds is None or batched else seeds[0],
            retain_graph=not is_last,
            allow_unused=True,
            is_grads_batched=batched,
        )
        if gradients is None:
            raise no_gradient(self.path)
        return gradients if batched else gradients[None]


def _totals(scores: NativeTensor) -> NativeTensor:
    """Return the sums (T,) of scores (N, T) over the images; a single score as it is."""
    return scores if scores.numel() == 1 else scores.sum(dim=0)


class BackwardFacts(NamedTuple):
    """What the backward pass of some scores runs.

    Attributes:
        uses_float16: Whether anything between the tap and the scores is computed in float16.
        has_python: Whether it runs Python: the model's own autograd.Function, or a backward hook. Such code expects one
            gradient and not a batch of them: it may read values or store its argument. PyTorch's own functions can all
            be batched, so this alone decides whether targets share a backward pass.
    """

    uses_float16: bool
    has_python: bool


def backward_facts(scores: NativeTensor) -> BackwardFacts:
    """Return what the backward pass of some scores runs."""
    uses_float16 = has_python = False
    visited: set[Any] = {None, scores.grad_fn}
    pending: list[Any] = [node for node in visited if node is not None]
    while pending:
        node = pending.pop()
        uses_float16 = uses_float16 or has_result_of(node, torch.float16)
        has_python = has_python or isinstance(node, torch.autograd.function.BackwardCFunction)
        for producer, _ in node.next_functions:
            if producer not in visited:
                visited.add(producer)
                pending.append(producer)
    return BackwardFacts(uses_float16, has_python)
