"""Load a classifier from a model file, or from a folder that contains one."""

import os
from pathlib import Path

from seewhy.errors import LayerError, ModelError
from seewhy.models import keras_file, sidecar
from seewhy.models.classifier import Classifier
from seewhy.models.sidecar import Sidecar


def looks_like_path(source: str) -> bool:
    """Whether a source is a path: it contains a slash, has the suffix of a model file, or exists."""
    has_path_syntax = "/" in source or Path(source).suffix.lower() in keras_file.SUFFIXES
    return has_path_syntax or (source != "" and os.path.exists(source))


def load(source: str, *, trust: bool) -> Classifier:
    """Load a model and its sidecar.

    Args:
        source: A `.keras` or legacy `.h5` file; or a folder that contains exactly one.
        trust: True allows code in the file to run.

    Raises:
        ModelError: The file does not exist or is not supported, or the sidecar does not fit the model.
        WeightsError: A file is damaged.
    """
    path = _find_model(_expanded(source))
    sidecar_path = sidecar.path_beside(path)
    # A link that leads nowhere, or to itself, exists too: reading it is an error, and not ignored.
    metadata = sidecar.read(sidecar_path) if os.path.lexists(sidecar_path) else Sidecar()
    model = keras_file.load_model(path, trust=trust)
    try:
        return _classifier(model, metadata, path.stem)
    except (LayerError, ModelError) as error:
        problem = f"{sidecar_path} does not fit" if os.path.lexists(sidecar_path) else "Cannot use"
        raise ModelError(f"{problem} the model in {path}: {error}") from error


def _expanded(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError as error:
        raise ModelError(f"There is no file {source}: the home folder is unknown.") from error


def _find_model(path: Path) -> Path:
    """Return the model file at a path, or the only one in the folder at the path."""
    if not os.path.exists(path):  # Path.exists raises if a name is too long
        raise ModelError(f"There is no file {path}.")
    if path.is_dir():
        try:
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in keras_file.SUFFIXES)
        except OSError as error:
            raise ModelError(f"Cannot read the folder {path}: {error.strerror or error}.") from error
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise ModelError(
                f"The folder {path} contains {len(files)} models ({names}); expected exactly one. Give the path of "
                "the file."
            )
        return files[0]
    if path.suffix.lower() not in keras_file.SUFFIXES:
        raise ModelError(
            f"Cannot load {path}; expected a model saved by Keras, {' or '.join(keras_file.SUFFIXES[:2])}. Any other "
            "model can be loaded by a function that returns it: package.module:callable."
        )
    return path


def _classifier(model: object, metadata: Sidecar, name: str) -> Classifier:
    config = metadata.preprocessing
    classifier = Classifier(
        model,
        preprocess=None if config is None else config.function(),
        class_names=metadata.class_names,
        input_size=metadata.input_size,
        name=name,
        layer=metadata.layer,
    )
    if config is None or config.is_only_a_name:
        return classifier
    return Classifier(
        model,
        preprocess=config.preprocessing(classifier.input_size),
        class_names=metadata.class_names,
        name=name,
        layer=metadata.layer,
    )
