"""A small convolutional network in plain NumPy, with its gradients by hand: the same for every framework.

`in_keras` and `in_torch` build it, in many ways; whichever way, it has to give what `expected` says.
"""

from types import SimpleNamespace

import numpy as np

SIZE = (12, 10)
SIZES = {"signal": (12,), "image": SIZE, "volume": (7, 6, 5)}
CLASSES = 4


def weights(size=SIZE, classes=CLASSES):
    """Return seeded weights: two convolutions over 3, 3x3 or 3x3x3, (*window, in, out), and a dense layer.

    The dense layer follows the flattened maps, channels last.
    """
    random = np.random.default_rng(0)
    window, maps = (3,) * len(size), [each - 2 for each in size]
    shapes = {"first": (*window, 3, 8), "features": (*window, 8, 6), "dense": (np.prod(maps) * 6, classes)}
    kernels = {
        name: (random.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    biases = {name: random.normal(size=shape[-1]).astype(np.float32) / 10 for name, shape in shapes.items()}
    return kernels, biases


def images(count=3, size=SIZE, seed=1):
    """Return a seeded batch, (N, *size, 3)."""
    return np.random.default_rng(seed).normal(size=(count, *size, 3)).astype(np.float32)


def convolve(x, kernel, bias, padding):
    """Slide the kernel over (N, *space, channels), in double precision."""
    window = kernel.shape[:-2]
    space = tuple(range(1, 1 + len(window)))
    pad = [(padding if axis in space else 0,) * 2 for axis in range(x.ndim)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x.astype(np.float64), pad), window, axis=space)
    windows = np.moveaxis(windows, len(space) + 1, -1)  # (N, *space, *window, in)
    return np.tensordot(windows, kernel, axes=len(window) + 1) + bias


def expected(inputs, indices, classes=CLASSES):
    """Return what a capture at "features" and both methods must give, for the same classes of every image.

    The dense layer follows the maps directly, so that dy^c/dA is its own weights, laid out as the maps.
    """
    kernels, biases = weights(inputs.shape[1:-1], classes)
    hidden = np.maximum(convolve(inputs, kernels["first"], biases["first"], padding=1), 0)
    maps = np.maximum(convolve(hidden, kernels["features"], biases["features"], padding=0), 0)
    logits = maps.reshape(len(maps), -1) @ kernels["dense"] + biases["dense"]
    by_class = kernels["dense"].T.reshape(classes, *maps.shape[1:])
    gradients = np.broadcast_to(by_class[list(indices)], (len(maps), len(indices), *maps.shape[1:]))
    return SimpleNamespace(
        activations=maps,
        logits=logits,
        scores=logits[:, list(indices)],
        probabilities=softmax(logits),
        by_class=by_class,
        **in_full(maps, gradients),
    )


def in_full(maps, gradients):
    """Return the gradients (N, T, *space, K), and the heatmaps of both methods by their papers' equations."""
    space = tuple(range(2, gradients.ndim - 1))
    alpha = gradients.mean(axis=space)
    return {
        "gradients": gradients,
        "gradcam": np.maximum(np.einsum("ntk,n...k->nt...", alpha, maps), 0),
        "hirescam": np.maximum((gradients * maps[:, None]).sum(axis=-1), 0),
    }


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def close(found, wanted):
    """Assert what DESIGN promises: within 1e-4 of the maximum."""
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
