"""Grad-CAM in the fewest lines that are correct, as the floor of what an explanation costs.

What is left is work that any code must do: the forward pass, in which only the head keeps gradients; the gradients of
the logits with respect to the layer's output; the weighted sum; the ReLU; arrays of NumPy. All else that SeeWhy does is
left out: nothing is checked or restored, no layer or class is chosen, a final softmax is not bypassed, there are no
probabilities, and many classes have no shortcut. It takes one image and the layer's path.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

TOOL = "by hand"

Explain = Callable[[list[int]], Any]
"""Explains one image for some classes, giving (T, h, w)."""


def of_torch(model: Any, path: str, inputs: Any, read: Callable[[Any], Any], maps: Callable[[Any], Any]) -> Explain:
    """Return the code for a module of PyTorch.

    Args:
        model: The module, which is in evaluation mode.
        path: The layer's.
        inputs: The image, as the model takes it.
        read: Finds the logits in what the model returns.
        maps: Brings the layer's output into (1, K, h, w).
    """
    import torch

    layer = model.get_submodule(path)

    def explain(classes: list[int]) -> Any:
        kept = []

        def keep(_: Any, __: Any, output: Any) -> Any:
            torch.set_grad_enabled(True)  # until `no_grad` ends
            kept.append(output.detach().requires_grad_())
            return kept[0]

        handle = layer.register_forward_hook(keep)
        with torch.no_grad():
            scores = read(model(inputs))[0]
            gradients = [torch.autograd.grad(scores[each], kept[0], retain_graph=True)[0] for each in classes]
        handle.remove()
        with torch.inference_mode():
            weights = torch.cat([maps(each).mean((2, 3)) for each in gradients])
            return torch.einsum("tk,khw->thw", weights, maps(kept[0])[0]).relu().numpy()

    return explain


def of_tensorflow(model: Any, path: str, batch: Any) -> Explain:
    """Return the code for a functional model of Keras on TensorFlow, which is built and traced once.

    Args:
        model: The model, which ends in logits.
        path: The layer's name.
        batch: The image, (1, h, w, 3).
    """
    import keras
    import tensorflow as tf

    both = keras.Model(model.inputs, [model.get_layer(path).output, model.output])

    @partial(tf.function, autograph=False)
    def step(images: Any, classes: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            activations, scores = both(images, training=False)
            scores = [tf.gather(scores[0], classes[number]) for number in range(classes.shape[0])]
        weights = tf.stack([tf.reduce_mean(tape.gradient(each, activations), axis=(0, 1, 2)) for each in scores])
        return tf.nn.relu(tf.einsum("tk,hwk->thw", weights, activations[0]))

    return lambda classes: step(tf.constant(batch), tf.constant(classes)).numpy()


def check(found: Any, wanted: Any) -> None:
    """Raise ValueError if heatmaps are not those of SeeWhy: what is quicker because it is wrong is no floor.

    Args:
        found: (T, h, w).
        wanted: The same of SeeWhy.
    """
    if not np.allclose(found, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max()):
        most = np.abs(found - wanted).max()
        raise ValueError(f"The heatmaps by hand differ by up to {most:.3g} from SeeWhy's, up to {np.max(wanted):.3g}.")
