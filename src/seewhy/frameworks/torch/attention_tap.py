"""The tap on attention maps in PyTorch: every map is captured, and differentiated from the first one on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, final

import torch

from seewhy.errors import LayerError
from seewhy.frameworks.layers import no_attention, no_gradient_to_attention
from seewhy.frameworks.loss_scale import scaled_gradients
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.structures import ArrayTree, InputBatch, image_count, map_tree
from seewhy.frameworks.torch.attention_operations import attention_in_steps
from seewhy.frameworks.torch.attention_recorder import AttentionMaps, AttentionMode
from seewhy.frameworks.torch.failures import FAILURES
from seewhy.frameworks.torch.logits import FunctionRecorder, select_torch_outputs
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.tap import TARGETS_AT_ONCE, backward_facts
from seewhy.frameworks.torch.tensors import detach, target_arrays, to_array
from seewhy.frameworks.torch.without_autograd import Trunk
from seewhy.targets import Objective
from seewhy.types import AttentionCapture, Derivatives, FloatArray, Namespace, NativeTensor

NAME = "attention"


@final
class AttentionTap(AttentionMode):
    """Captures the attention maps of one run of the model.

    Args:
        maps: The maps, as an earlier run recorded them.
        trunk: Runs the model before the first map.
        derivatives: "gradients" or "none".
    """

    def __init__(self, maps: AttentionMaps, trunk: Trunk, derivatives: Derivatives) -> None:
        super().__init__()
        if maps.obstacle or not maps.positions:
            raise no_attention(maps.obstacle)
        self._maps = maps
        self._trunk = trunk
        self._derivatives = derivatives
        self._position = 0
        self._captured: list[NativeTensor] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """Observe the model while this is open, inside of its trunk."""
        with self._trunk, self:
            yield

    def fused(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> NativeTensor:
        return attention_in_steps(self._tap, *args, **kwargs)

    def softmax(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> NativeTensor:
        result = self._tap(func(*args, **kwargs))
        # The model may work in place on what it receives, so the tap keeps a copy of its own.
        return result.clone() if self._captured and self._captured[-1] is result else result

    def finish(
        self,
        outputs: ArrayTree,
        objective: Objective,
        inputs: InputBatch,
        functions: FunctionRecorder,
        xp: Namespace,
        message: Callable[[Exception], object] = str,
    ) -> AttentionCapture:
        """Compute the scores and their gradients. Gradients must be enabled if they are wanted.

        Args:
            outputs: All outputs of the model.
            objective: What is differentiated.
            inputs: The batch that the model ran on.
            functions: Recorded the functions after the first map.
            xp: The namespace for the target.
            message: Returns the message of an exception of the model.

        Raises:
            LayerError: The model computed other maps than in the recorded run.
            NoGradientError: The scores depend on none of the maps.
            ModelRunError: The model failed in the backward pass.
            TargetError: The outputs do not allow the target.
        """
        count = image_count(inputs)
        self._check(count)
        with without_autocast():
            read = (selected := select_torch_outputs(outputs, objective, functions, xp)).read(selected.tensors)
            device_tensor = self._captured[0] if read.logits is None else read.logits
            scores: NativeTensor
            indices: NativeTensor
            scores, indices = read.score(objective, target_arrays(objective, count, device_tensor), xp)
            scores = scores.float()
            with translated_errors(inputs, FAILURES, None, message):
                gradients = self._gradients(scores, count, xp) if self._derivatives == "gradients" else None
        return AttentionCapture(
            maps=tuple(
                each.detach().float().reshape(count, *shape)
                for each, shape in zip(self._captured, self._maps.shapes, strict=True)
            ),
            gradients=gradients,
            scores=scores.detach(),
            indices=indices.to(torch.int32),
            outputs=map_tree(detach, read.raw),
            probabilities=None if read.probabilities is None else read.probabilities.detach(),
            xp=xp,
            final_activation=read.activation,
        )

    def _tap(self, weights: NativeTensor) -> NativeTensor:
        """Capture the map of a softmax that is attention, and record gradients from the first one on."""
        self._position += 1
        if self._position - 1 not in self._maps.positions:
            return weights
        if not self._captured:
            self._trunk.end(NAME, with_gradients=self._derivatives != "none")
        if self._derivatives != "none" and not weights.requires_grad:
            weights = weights.detach().requires_grad_()
        self._captured.append(weights)
        return weights

    def _check(self, count: int) -> None:
        """Raise LayerError unless the maps are those of the recorded run."""
        sizes = [each.numel() for each in self._captured]
        expected = [count * torch.Size(shape).numel() for shape in self._maps.shapes]
        if sizes != expected:
            raise LayerError(
                f"The model computed {len(sizes)} attention maps, and {len(expected)} in an earlier run, or others: "
                "which it computes depends on its input. Use a method that explains a layer, such as gradcam."
            )

    def _gradients(self, scores: NativeTensor, count: int, xp: Namespace) -> tuple[NativeTensor, ...]:
        """Return the gradients (N, T, H, Lq, Lk) of float32 scores (N, T), of every map."""
        if not scores.requires_grad:
            raise no_gradient_to_attention()
        if not backward_facts(scores).uses_float16:
            return self._by_map(self._backward(scores.sum(dim=0)), count)

        def run(scale: FloatArray) -> NativeTensor:
            totals = (scores * torch.tensor(scale, device=scores.device)).sum(dim=0)
            by_map = self._by_map(self._backward(totals, keep_graph=True), count)
            return torch.cat([each.flatten(2) for each in by_map], dim=2)

        sizes = [torch.Size(shape).numel() for shape in self._maps.shapes]
        together = scaled_gradients(run, tuple(scores.shape), xp, to_array, partial(torch.tensor, device=scores.device))
        parts = torch.split(together, sizes, dim=2)
        return tuple(
            part.reshape(*part.shape[:2], *shape) for part, shape in zip(parts, self._maps.shapes, strict=True)
        )

    def _by_map(self, gradients: list[list[NativeTensor]], count: int) -> tuple[NativeTensor, ...]:
        """Return the gradients (N, T, H, Lq, Lk) of each map, of those of each pass (t, ...)."""
        return tuple(
            torch.cat([each[position] for each in gradients]).float().reshape(-1, count, *shape).transpose(0, 1)
            for position, shape in enumerate(self._maps.shapes)
        )

    def _backward(self, totals: NativeTensor, *, keep_graph: bool = False) -> list[list[NativeTensor]]:
        """Return the gradients of totals (T,): of the targets of each pass (t, ...), of every map."""
        count = len(totals)
        at_once = 1 if count == 1 or backward_facts(totals).has_python else min(count, TARGETS_AT_ONCE)
        seeds = torch.split(torch.eye(count, dtype=totals.dtype, device=totals.device), at_once)
        passes = []
        for seed in seeds:
            batched = len(seed) > 1
            gradients = torch.autograd.grad(
                totals,
                self._captured,
                seed if batched else None if count == 1 else seed[0],
                retain_graph=keep_graph or seed is not seeds[-1],
                allow_unused=True,
                is_grads_batched=batched,
            )
            if all(each is None for each in gradients):
                raise no_gradient_to_attention()
            passes.append(
                [
                    each.new_zeros(len(seed), *each.shape) if gradient is None else gradient.reshape(-1, *each.shape)
                    for gradient, each in zip(gradients, self._captured, strict=True)
                ]
            )
        return passes
