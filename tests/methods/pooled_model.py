"""An oracle: a model in plain NumPy whose head is global average pooling and a linear layer, and a runner for it."""

import numpy as np

from seewhy.types import Capture

CHANNELS, CLASSES = 6, 3


class PooledModel:
    """A 1x1 convolution, by default with ReLU; the mean over positions; then a linear layer, or a subclass's head.

    Gradients are central differences in float64, which do not depend on how the head is written.
    """

    def __init__(self, seed=3, rectified=True):
        random = np.random.default_rng(seed)
        self.rectified = rectified
        self.mix, self.bias = random.normal(size=(2, CHANNELS)), random.normal(size=CHANNELS) / 2
        self.dense, self.logit_bias = random.normal(size=(CHANNELS, CLASSES)), random.normal(size=CLASSES)
        self.hidden = random.normal(size=(CHANNELS, CHANNELS))

    def trunk(self, inputs):
        activations = inputs @ self.mix + self.bias
        return np.maximum(activations, 0) if self.rectified else activations

    def head(self, activations):
        return self.pooled(activations) @ self.dense + self.logit_bias

    def pooled(self, activations):
        return activations.reshape(-1, CHANNELS).mean(axis=0)

    def capture(self, image, targets):
        activations = self.trunk(image.astype(np.float64))
        gradients = np.zeros((CLASSES, *activations.shape))
        for place in np.ndindex(activations.shape):
            step = np.zeros(activations.shape)
            step[place] = 1e-4
            gradients[(slice(None), *place)] = (self.head(activations + step) - self.head(activations - step)) / 2e-4
        scores = self.head(activations)[None, targets]
        rows = (activations[None], gradients[None, targets], scores)
        return Capture(*(row.astype(np.float32) for row in rows), None, scores, None, "conv", np)


class Runner:
    """Runs a model on one perturbation at a time."""

    layer_extents = None

    def __init__(self, model, image, targets):
        self.model, self.inputs, self.targets = model, image, targets

    def head_scores(self, perturbations, count):
        scores = [self.model.head(activations.astype(np.float64))[self.targets] for activations in perturbations]
        assert len(scores) == count
        return np.array(scores, np.float32)

    def captures(self, perturbations, count, *, level="layer", gradient_rule="plain"):
        assert (level, gradient_rule) == ("layer", "plain")
        for _, image in zip(range(count), perturbations, strict=True):
            yield self.model.capture(image, self.targets)


def make_image(seed=5, space=(3, 4)):
    return np.random.default_rng(seed).normal(size=(*space, 2)).astype(np.float32)
