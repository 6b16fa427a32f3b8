"""Whether the inputs of a model are pixels that its preprocessing should have scaled."""

from typing import Any

import numpy as np


def are_pixels(inputs: Any) -> bool:
    """Whether these are images in 0..255: scaled inputs have negative values, or a maximum far below 255."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == 4 and inputs.min() >= 0 and 100 < inputs.max() <= 255


def unscaled_hint(name: str) -> str:
    """Return the warning that a model was given pixels, and probably needs preprocessing."""
    return (
        f"The model {name!r} was given pixels in 0..255, and its first layer is a convolution. If it was "
        "trained on scaled images, its predictions are meaningless. Give the preprocessing: seewhy.Classifier("
        "model, preprocess=...); for a model that takes 0..255, seewhy.Preprocessing(size=(height, width))."
    )
