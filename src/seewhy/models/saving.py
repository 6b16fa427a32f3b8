"""Writing a classifier: the model file and its sidecar."""

import os
from pathlib import Path

from seewhy.errors import ModelError
from seewhy.images.writing import write_atomically
from seewhy.models import keras_file, sidecar
from seewhy.models.classifier_settings import ClassifierSettings
from seewhy.models.sidecar import PreprocessingConfig, Sidecar


def save_classifier(classifier: ClassifierSettings, path: str | os.PathLike[str]) -> Path:
    """Write the model and its sidecar, each completely or not at all, and return the path of the model.

    Raises:
        ModelError: The path has not the suffix `.keras`, the model is not a Keras model, or the preprocessing is a
            Python function that is not part of `keras.applications`.
        OutputError: A file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise ModelError(f"Cannot save a classifier as {path.name!r}; expected a file name that ends in .keras.")
    if not keras_file.is_keras_model(classifier.model):
        raise ModelError(
            f"The model {classifier.name!r} is not a Keras model, and only those can be saved. Save its weights with "
            "its own framework, and load them in a function that returns the model: package.module:callable."
        )
    metadata = sidecar_of(classifier).as_json()  # before anything is written, for it may raise
    write_atomically(path, lambda file: keras_file.save_model(classifier.model, file), durable=True)
    write_atomically(sidecar.path_beside(path), lambda file: file.write(metadata), durable=True)
    return path


def sidecar_of(classifier: ClassifierSettings) -> Sidecar:
    """Return what the sidecar of a classifier's model file holds.

    Raises:
        ModelError: The preprocessing is a Python function that is not part of `keras.applications`.
    """
    preprocessing, finish = classifier.preprocessing, classifier.finish
    if classifier.preprocess_by_input or classifier.size_by_input:
        raise ModelError(
            f"Cannot save the classifier {classifier.name!r}: a sidecar has one preprocessing, and this classifier has "
            "one for each input. Save the model alone, model.save(path), and give the preprocessing when it is loaded."
        )
    if preprocessing is None:
        config = None if finish is None else PreprocessingConfig(sidecar.application_name(finish))
        return Sidecar(classifier.class_names, classifier.given_size, config, classifier.layer, classifier.sample_rate)
    names = ("crop", "resize", "letterbox", "resample", "mean", "std", "channels_first", "grey")
    values = {name: getattr(preprocessing, name) for name in names}
    config = PreprocessingConfig(sidecar.application_name(preprocessing.finish), **values)
    return Sidecar(classifier.class_names, preprocessing.size, config, classifier.layer, classifier.sample_rate)
