"""A path to a model's file, or to a folder that holds one."""

import os
from pathlib import Path

from seewhy.errors import LayerError, ModelError
from seewhy.models import keras_file, sidecar
from seewhy.models.classifier import Classifier
from seewhy.models.sidecar import Sidecar


def looks_like_path(source: str) -> bool:
    """Whether a source can only be meant as a path: it says so by its spelling, or something is there."""
    is_spelt_so = "/" in source or Path(source).suffix.lower() in keras_file.SUFFIXES
    return is_spelt_so or (source != "" and os.path.exists(source))


def load(source: str, *, trust: bool) -> Classifier:
    """Load a model and what its sidecar says of it.

    Args:
        source: A `.keras` or legacy `.h5` file; or a folder that holds exactly one.
        trust: True lets code that is in the file run.

    Raises:
        ModelError: There is no such file, or it or its sidecar cannot be meant; the message says why.
        WeightsError: A file is damaged.
    """
    path = _find(Path(source).expanduser())
    beside = sidecar.path_beside(path)
    described = sidecar.read(beside) if beside.exists() else Sidecar()
    model = keras_file.load_model(path, trust=trust)
    try:
        return _classifier(model, described, path.stem)
    except (LayerError, ModelError) as error:
        where = f"{beside} does not fit" if beside.exists() else "Cannot use"
        raise ModelError(f"{where} the model in {path}: {error}") from error


def _find(path: Path) -> Path:
    """Return the one model's file that is meant."""
    if not os.path.exists(path):  # where a name is too long, Path.exists raises
        raise ModelError(f"There is no file {path}.")
    if path.is_dir():
        try:
            found = sorted(each for each in path.iterdir() if each.suffix.lower() in keras_file.SUFFIXES)
        except OSError as error:
            raise ModelError(f"Cannot look into the folder {path}: {error.strerror or error}.") from error
        if len(found) != 1:
            names = ", ".join(each.name for each in found) or "none"
            raise ModelError(f"The folder {path} holds {len(found)} models ({names}); expected one, or give its path.")
        return found[0]
    if path.suffix.lower() not in keras_file.SUFFIXES:
        raise ModelError(
            f"Cannot load {path}: expected a model saved by Keras, {' or '.join(keras_file.SUFFIXES[:2])}. Whatever "
            "else it is, a function that returns the model can load it: package.module:callable."
        )
    return path


def _classifier(model: object, described: Sidecar, name: str) -> Classifier:
    recipe = described.preprocessing
    classifier = Classifier(
        model,
        preprocess=None if recipe is None else recipe.function(),
        class_names=described.class_names,
        input_size=described.input_size,
        name=name,
        layer=described.layer,
    )
    if recipe is None or recipe.is_only_a_name:
        return classifier
    return Classifier(
        model,
        preprocess=recipe.preprocessing(classifier.input_size),
        class_names=described.class_names,
        name=name,
        layer=described.layer,
    )
