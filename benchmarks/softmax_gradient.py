"""How exact a heatmap of a nearly certain class is if the gradient of its probability is taken in float32.

The gradient of a softmax is a product with 1 - p: where p is so close to 1 that float32 rounds it, little or nothing of
the gradient is left. This trains the recipe `seewhy train digits`, and explains test digits as tutorials do, with a
rebuilt model and a gradient tape, in float32 and in float64. It prints a table in Markdown: by how much the two differ,
relative to the maximum of the latter, for the probability and for the logit. Run it with
`python benchmarks/softmax_gradient.py`, on Keras with TensorFlow.
"""

import argparse
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

import seewhy
from seewhy.train.digits import DigitsRecipe, build_model, train_digits

DIGITS = Path(__file__).parent.parent / "examples" / "data" / "digits_4000.npz"
LAYER = "conv2d_1"
RANGES = ((1e-3, 1e-1), (1e-5, 1e-3), (1e-7, 1e-5), (0.0, 1e-7))
"""Ranges of 1 - p, by which digits are grouped; the last one has those that float32 rounds to 1, or nearly."""


def in_float64(model: keras.Model) -> keras.Model:
    """Return a copy of the model that computes in float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    copy = build_model(seed=0)
    copy.set_weights([weights.astype(np.float64) for weights in model.get_weights()])
    return copy


def heatmaps(model: keras.Model, images: np.ndarray, classes: np.ndarray, score: str) -> tuple[np.ndarray, np.ndarray]:
    """Return Grad-CAM (N, u, v) of a class of each image as tutorials compute it, and the probability of each (N,)."""
    last = model.layers[-1]
    rebuilt = keras.Model(model.input, [model.get_layer(LAYER).output, last.input, model.output])
    with tf.GradientTape() as tape:
        activations, features, probabilities = rebuilt(images.astype(model.compute_dtype), training=False)
        logits = tf.matmul(features, last.kernel) + last.bias
        outputs = probabilities if score == "probability" else logits
        chosen = tf.gather(outputs, classes, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(chosen, activations), axis=(1, 2), keepdims=True)
    maps = tf.nn.relu(tf.reduce_sum(activations * weights, axis=-1)).numpy()
    return maps, tf.gather(probabilities, classes, batch_dims=1).numpy()


def main() -> None:
    """Train, explain and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="the folder of `seewhy train digits`; created if missing")
    with np.load(DIGITS) as file:
        images = file["x_test"][..., None] / 255
    with tempfile.TemporaryDirectory() as folder:
        run = parser.parse_args().run or Path(folder) / "run"
        if not run.exists():
            train_digits(DIGITS, run, DigitsRecipe(), console=Console(stderr=True))
        model = seewhy.load(run).model
    exact = in_float64(model)
    classes = np.argmax(exact.predict(images, verbose=0), axis=-1)
    differences, rest = {}, np.zeros(len(images))
    for score in ("probability", "logit"):
        found, _ = heatmaps(model, images, classes, score)
        expected, probabilities = heatmaps(exact, images, classes, score)
        rest = 1 - probabilities
        maxima = expected.max(axis=(1, 2))
        largest = np.abs(found - expected).max(axis=(1, 2)) / np.where(maxima > 0, maxima, np.inf)
        differences[score] = largest
    print("| 1 - p, in float64 | digits | probability: median | worst | logit: median | worst |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for low, high in RANGES:
        chosen = (rest >= low) & (rest < high)
        cells = [f"{f(differences[score][chosen]):.1e}" for score in differences for f in (np.median, np.max)]
        print(f"| {low:g} to {high:g} | {chosen.sum()} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
