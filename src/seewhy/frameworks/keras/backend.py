"""The backend of Keras."""

import keras

from seewhy.errors import ModelError
from seewhy.frameworks.device import FrameworkName

NAMES: dict[str, FrameworkName] = {"tensorflow": "keras-tensorflow", "jax": "keras-jax", "torch": "keras-torch"}


def backend_name() -> FrameworkName:
    """Return what a Keras model runs in here, such as "keras-jax".

    Raises:
        ModelError: Keras runs on a backend that SeeWhy does not know.
    """
    backend = keras.backend.backend()
    if backend not in NAMES:
        raise ModelError(f"Keras runs on {backend} here; SeeWhy explains Keras models on TensorFlow, JAX and PyTorch.")
    return NAMES[backend]
