"""An oracle: a small model in plain NumPy for signals, images and volumes, and a runner for it."""

from itertools import islice

import numpy as np

from seewhy.types import Capture

CHANNELS, CLASSES = 5, 3


class Model:
    """Means over blocks of 2, a 1x1 convolution with ReLU; then a dense layer with tanh, and one of logits."""

    def __init__(self, size, input_channels=2, channels=CHANNELS, gain=1.0):
        random = np.random.default_rng(3)
        self.size, self.space = size, tuple(pixels // 2 for pixels in size)
        self.mix = random.normal(size=(input_channels, channels))
        self.bias = random.normal(size=channels) / 2
        self.hidden = random.normal(size=(int(np.prod(self.space)) * channels, 7)) / 2
        self.dense = gain * random.normal(size=(7, CLASSES))
        self.logit_bias = random.normal(size=CLASSES)

    def trunk(self, inputs):
        """Return the activations (N, *space, K) of inputs (N, *size, C)."""
        for axis in range(1, inputs.ndim - 1):
            halves = [np.take(inputs, range(start, inputs.shape[axis] - 1 + start, 2), axis) for start in (0, 1)]
            inputs = (halves[0] + halves[1]) / 2
        return np.maximum(inputs @ self.mix + self.bias, 0)

    def head(self, activations):
        """Return the logits (N, classes)."""
        return np.tanh(activations.reshape(len(activations), -1) @ self.hidden) @ self.dense + self.logit_bias

    def score(self, image, target):
        """Return one image's logit."""
        return self.head(self.trunk(image[None]))[0, target]

    def make_image(self, seed=5):
        """Draw an image (*size, C) of values about 1."""
        random = np.random.default_rng(seed)
        return (1 + random.normal(size=(*self.size, len(self.mix)))).astype(np.float32)

    def capture(self, image, targets):
        """Return what a tap after the trunk captures."""
        activations = self.trunk(image[None])
        scores = self.head(activations)[:, targets]
        return Capture(activations, None, scores, np.array([targets]), scores, None, "trunk", np)


class CountingRunner:
    """Runs a Model on perturbations, and counts the runs."""

    layer_extents = None

    def __init__(self, model, image, targets, batch_size=4):
        self.model, self.inputs, self.targets, self.batch_size = model, image, targets, batch_size
        self.forwards = self.head_forwards = 0

    def scores(self, perturbations, count):
        scores = self._run(perturbations, lambda batch: self.model.head(self.model.trunk(batch)))
        self.forwards += len(scores)
        assert len(scores) == count
        return scores

    def score_batches(self, write, count):
        for start in range(0, count, self.batch_size):
            numbers = range(start, min(start + self.batch_size, count))
            batch = np.full((len(numbers), *self.inputs.shape), np.nan, np.float32)  # to be overwritten
            write(numbers, batch)
            self.forwards += len(batch)
            yield self.model.head(self.model.trunk(batch))[:, self.targets].astype(np.float32)

    def head_scores(self, perturbations, count):
        scores = self._run(perturbations, self.model.head)
        self.head_forwards += len(scores)
        assert len(scores) == count
        return scores

    def _run(self, perturbations, function):
        perturbations, batches = iter(perturbations), []
        while batch := list(islice(perturbations, self.batch_size)):
            batches.append(function(np.stack(batch))[:, self.targets])
        return np.concatenate(batches).astype(np.float32)
