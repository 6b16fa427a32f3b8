"""The option `--layer`: suggest only layers that can be explained."""

from typing import Any

import numpy as np

from seewhy.errors import InputError, LayerError, ModelError, ModelRunError, did_you_mean
from seewhy.frameworks import LayerCall
from seewhy.frameworks.layers import AUTO
from seewhy.frameworks.one_input import calls_by_input
from seewhy.frameworks.structures import InputBatch
from seewhy.models import Classifier
from seewhy.models.blank_input import recording_shape, sample_of_images
from seewhy.types import ImageArray


def find_layer(classifier: Classifier, layer: str) -> str:
    """Return a layer's name, or raise LayerError with similar names of layers that can be explained."""
    if layer == AUTO:
        return layer
    try:
        classifier.framework.find_layer(layer)
    except LayerError as error:
        if "There is no layer" not in str(error):
            raise
        paths = _spatial_paths(classifier)
        names = [*paths, *(path.rsplit("/", 1)[-1] for path in paths)]
        raise LayerError(
            f"There is no layer {layer!r} in the model.{did_you_mean(layer, names)} 'seewhy layers MODEL' lists the "
            "layers that can be explained."
        ) from error
    return layer


def _spatial_paths(classifier: Classifier) -> list[str]:
    """Return the paths of the layers that can be explained; of all where the model cannot run without its inputs."""
    try:
        calls = layer_calls(classifier, sample_inputs(classifier))
    except (InputError, ModelError, ModelRunError):
        return list(classifier.framework.layer_paths())
    return list(dict.fromkeys(call.path for call in calls if call.has_space))


def sample_inputs(classifier: Classifier, sample: Any = None) -> InputBatch:
    """Return the input of an image of noise: in a blank one, positions may have no gradient that have one otherwise.

    For a model with several inputs, an image of noise for each that takes images.

    Args:
        classifier: The model.
        sample: The values that were given for the inputs, which are then taken; None or empty where none were.
    """
    if sample:
        return classifier.preprocess([sample]).values
    random, framework = np.random.default_rng(0), classifier.framework

    def noise(height: int, width: int) -> ImageArray:
        return random.integers(0, 256, (height, width, 3), dtype=np.uint8)

    if framework.input_count() > 1:
        return sample_of_images(classifier, noise).values
    if (shape := recording_shape(classifier)) is not None:
        return framework.check_inputs(random.random(shape, dtype=np.float32))
    return framework.check_inputs(classifier.preprocess([noise(*classifier.input_size)]))


def layer_calls(classifier: Classifier, inputs: InputBatch) -> tuple[LayerCall, ...]:
    """Run the model on an image, and return the calls of its layers."""
    return calls_by_input(classifier.framework, inputs)
