"""One layer of a model, run plainly: its output, the class scores, and the gradients of the scores at the layer.

This is written apart from SeeWhy: it keeps what the layer returns with a hook, or in place of the layer's `call`, and
gives another value in its place. Only the layer object is found by the path that SeeWhy reports.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Array = Any


def plain_layer(model: Any, layer: Any, number: int | None) -> "TorchLayer | KerasLayer":
    """Return a layer of a Keras model or a torch module.

    Args:
        model: The model.
        layer: The layer, or the operation of a functional Keras model.
        number: Which of its calls, from 1; None for the last.
    """
    import sys

    keras = sys.modules.get("keras")
    return (
        KerasLayer(model, layer, number)
        if keras and isinstance(model, keras.Model)
        else TorchLayer(model, layer, number)
    )


class TorchLayer:
    """A layer of a torch module."""

    def __init__(self, model: Any, layer: Any, number: int | None) -> None:
        self._model, self._layer = model, layer
        self._number = number or self._calls()

    def run(self, inputs: Array, replacement: Array = None) -> tuple[Array, Array]:
        """Return the layer's output and the class scores, with the output replaced if another is given."""
        import torch

        value = None if replacement is None else torch.tensor(replacement)
        with torch.no_grad():
            output, logits = self._run(inputs, value)
        return output.numpy(), logits.numpy()

    def gradients(self, inputs: Array, output: Array, classes: Sequence[int]) -> list[Array]:
        """Return the gradient of each class's score, summed over the images, at the layer where it has this output."""
        import torch

        value = torch.tensor(output, requires_grad=True)
        with torch.enable_grad():
            _, logits = self._run(inputs, value)
            sums = [logits[:, index].sum() for index in classes]
            gradients = [torch.autograd.grad(each, value, retain_graph=True, allow_unused=True)[0] for each in sums]
        return [_or_zeros(gradient, output) for gradient in gradients]

    def _run(self, inputs: Array, value: Any) -> tuple[Any, Any]:
        import torch

        calls, kept = 0, []

        def replace(_: Any, __: Any, output: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls != self._number:
                return output
            kept.append(output.detach().clone())
            return output if value is None else value.clone()  # a copy, for what follows may overwrite it

        hook = self._layer.register_forward_hook(replace)
        try:
            logits = scores_of(self._model(torch.tensor(inputs)))
        finally:
            hook.remove()
        return kept[0], logits

    def _calls(self) -> int:
        import torch

        calls = []
        hook = self._layer.register_forward_hook(lambda *_: calls.append(1))
        try:
            with torch.no_grad():
                self._model(torch.tensor(self._model.zoo_inputs))
        finally:
            hook.remove()
        return len(calls)


class KerasLayer:
    """A layer, or an operation, of a Keras model on any backend."""

    def __init__(self, model: Any, layer: Any, number: int | None) -> None:
        self._model, self._layer, self._number = model, layer, number
        if number is None:
            with self._replaced(None) as kept:
                model(model.zoo_inputs, training=False)
            self._number = len(kept)

    def run(self, inputs: Array, replacement: Array = None) -> tuple[Array, Array]:
        """Return the layer's output and the class scores, with the output replaced if another is given."""
        import keras

        with self._replaced(replacement) as kept:
            logits = self._model(inputs, training=False)
        return (
            keras.ops.convert_to_numpy(kept[self._number - 1]),
            keras.ops.convert_to_numpy(scores_of(logits)),
        )

    def gradients(self, inputs: Array, output: Array, classes: Sequence[int]) -> list[Array]:
        """Return the gradient of each class's score, summed over the images, at the layer where it has this output."""
        import keras

        def scores(value: Any) -> list[Any]:
            with self._replaced(value):
                logits = scores_of(self._model(inputs, training=False))
            return [keras.ops.sum(logits[:, index]) for index in classes]

        return GRADIENTS[keras.backend.backend()](scores, output)

    @contextlib.contextmanager
    def _replaced(self, value: Any) -> Iterator[list[Any]]:
        """Run the layer's `call` plainly, and keep what it returns; give `value` in place of the call that counts."""
        original, kept = self._layer.call, []

        def call(*arguments: Any, **options: Any) -> Any:
            kept.append(original(*arguments, **options))
            is_replaced = value is not None and len(kept) == self._number
            return _as_tensor(value) if is_replaced else kept[-1]

        object.__setattr__(self._layer, "call", call)
        try:
            yield kept
        finally:
            object.__delattr__(self._layer, "call")


def scores_of(outputs: Any) -> Any:
    """Return the class scores among a model's outputs: Hugging Face calls them logits, others return them first."""
    if hasattr(outputs, "logits"):
        return outputs.logits
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def _as_tensor(value: Any) -> Any:
    import keras

    return keras.ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value


def _or_zeros(gradient: Any, output: Array) -> Array:
    return np.zeros_like(output) if gradient is None else gradient.numpy()


def _tensorflow_gradients(scores: Any, output: Array) -> list[Array]:
    import tensorflow as tf

    value = tf.constant(output)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(value)
        results = scores(value)
    gradients = [tape.gradient(result, value) for result in results]
    return [_or_zeros(gradient, output) for gradient in gradients]


def _jax_gradients(scores: Any, output: Array) -> list[Array]:
    import jax

    results, pull = jax.vjp(scores, jax.numpy.asarray(output))
    rows = np.eye(len(results), dtype=np.float32)
    return [np.asarray(pull(list(map(jax.numpy.asarray, row)))[0]) for row in rows]


def _torch_gradients(scores: Any, output: Array) -> list[Array]:
    import torch

    value = torch.tensor(output, requires_grad=True)
    results = scores(value)
    gradients = [torch.autograd.grad(each, value, retain_graph=True, allow_unused=True)[0] for each in results]
    return [_or_zeros(gradient, output) for gradient in gradients]


GRADIENTS = {"tensorflow": _tensorflow_gradients, "jax": _jax_gradients, "torch": _torch_gradients}
