"""A small convolutional network in plain NumPy, with its gradients by hand: the same for every framework."""

from types import SimpleNamespace

import numpy as np

SIZE = (12, 10)
CLASSES = 4


def weights():
    """Return seeded weights: two 3x3 convolutions (h, w, in, out), and a dense layer over the flattened maps."""
    random = np.random.default_rng(0)
    shapes = {"first": (3, 3, 3, 8), "features": (3, 3, 8, 6), "dense": ((SIZE[0] - 2) * (SIZE[1] - 2) * 6, CLASSES)}
    kernels = {
        name: (random.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    biases = {name: random.normal(size=shape[-1]).astype(np.float32) / 10 for name, shape in shapes.items()}
    return kernels, biases


def images(count=3):
    return np.random.default_rng(1).normal(size=(count, *SIZE, 3)).astype(np.float32)


def convolve(x, kernel, bias, padding):
    """Slide the kernel over (N, h, w, channels), in double precision."""
    x = np.pad(x.astype(np.float64), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))  # (N, u, v, in, h, w)
    return np.einsum("nuvihw,hwio->nuvo", windows, kernel) + bias


def expected(inputs, indices):
    """Return what a capture at "features" and both methods must give, for the same classes of every image.

    The dense layer follows the maps directly, so that dy^c/dA is its own weights, laid out as the maps.
    """
    kernels, biases = weights()
    hidden = np.maximum(convolve(inputs, kernels["first"], biases["first"], padding=1), 0)
    maps = np.maximum(convolve(hidden, kernels["features"], biases["features"], padding=0), 0)
    logits = maps.reshape(len(maps), -1) @ kernels["dense"] + biases["dense"]
    by_class = kernels["dense"].T.reshape(CLASSES, *maps.shape[1:])[list(indices)]
    gradients = np.broadcast_to(by_class, (len(maps), *by_class.shape))
    alpha = gradients.mean(axis=(2, 3))
    return SimpleNamespace(
        activations=maps,
        gradients=gradients,
        scores=logits[:, list(indices)],
        probabilities=np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        gradcam=np.maximum(np.einsum("ntk,nuvk->ntuv", alpha, maps), 0),
        hirescam=np.maximum(np.einsum("ntuvk,nuvk->ntuv", gradients, maps), 0),
    )


def keras_network():
    import keras

    network = keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
            keras.layers.Conv2D(6, 3, activation="relu", name="features"),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES, activation="softmax", name="dense"),
        ]
    )
    kernels, biases = weights()
    for name in kernels:
        network.get_layer(name).set_weights([kernels[name], biases[name]])
    return network
