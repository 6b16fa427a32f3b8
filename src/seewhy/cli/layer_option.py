"""The option `--layer`: suggest only layers that can be explained."""

import numpy as np

from seewhy.errors import LayerError, did_you_mean
from seewhy.frameworks import LayerCall
from seewhy.frameworks.layers import AUTO
from seewhy.models import Classifier, Inputs
from seewhy.models.blank_input import recording_shape
from seewhy.types import FloatArray


def find_layer(classifier: Classifier, layer: str) -> str:
    """Return a layer's name, or raise LayerError with similar names of layers that can be explained."""
    if layer == AUTO:
        return layer
    try:
        classifier.framework.find_layer(layer)
    except LayerError as error:
        if "There is no layer" not in str(error):
            raise
        paths = list(dict.fromkeys(call.path for call in layer_calls(classifier) if call.has_space))
        names = [*paths, *(path.rsplit("/", 1)[-1] for path in paths)]
        raise LayerError(
            f"There is no layer {layer!r} in the model.{did_you_mean(layer, names)} 'seewhy layers MODEL' lists the "
            "layers that can be explained."
        ) from error
    return layer


def sample_inputs(classifier: Classifier) -> Inputs | FloatArray:
    """Return the input of an image of noise: in a blank one, positions may have no gradient that have one otherwise."""
    if (shape := recording_shape(classifier)) is not None:
        return np.random.default_rng(0).random(shape, dtype=np.float32)
    noise = np.random.default_rng(0).integers(0, 256, (*classifier.input_size, 3), dtype=np.uint8)
    return classifier.preprocess([noise])


def layer_calls(classifier: Classifier) -> tuple[LayerCall, ...]:
    """Run the model on an image, and return the calls of its layers."""
    return classifier.framework.calls(classifier.framework.check_inputs(sample_inputs(classifier)))
