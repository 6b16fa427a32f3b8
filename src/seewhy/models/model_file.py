"""Load a classifier from a model file, or from a folder that contains one."""

import os
from collections.abc import Sequence
from pathlib import Path

from seewhy.errors import LayerError, ModelError, OptionError, did_you_mean
from seewhy.models import keras_file, onnx_file, sidecar, torch_weights, ultralytics_models
from seewhy.models.classifier import Classifier
from seewhy.models.onnx_metadata import read_metadata
from seewhy.models.sidecar import Sidecar

MODEL_SUFFIXES = (*keras_file.SUFFIXES, *onnx_file.SUFFIXES)
"""The suffixes of files with a model."""

SUFFIXES = (*MODEL_SUFFIXES, *torch_weights.SUFFIXES)
"""The suffixes of files with a model or its weights."""


def looks_like_path(source: str) -> bool:
    """Whether a source is a path: it contains a slash, has the suffix of a model file, or exists."""
    has_path_syntax = "/" in source or Path(source).suffix.lower() in SUFFIXES
    return has_path_syntax or (source != "" and os.path.exists(source))


def load(source: str, *, trust: bool) -> Classifier:
    """Load a model and its sidecar.

    Args:
        source: A `.keras`, legacy `.h5` or `.onnx` file; or a folder that contains exactly one.
        trust: True allows code in the file to run.

    Raises:
        ModelError: The file does not exist or is not supported, or the sidecar does not fit the model.
        WeightsError: A file is damaged.
    """
    path = find_model(source)
    if path.suffix.lower() in onnx_file.SUFFIXES:
        return _load_onnx(path, trust=trust)
    metadata = read_sidecar(path)
    return _classifier(path, keras_file.load_model(path, trust=trust), metadata)


def load_onnx(
    source: str | os.PathLike[str],
    *,
    providers: Sequence[str] = onnx_file.DEFAULT_PROVIDERS,
    threads: int | None = None,
    trust: bool = False,
) -> Classifier:
    """Load an `.onnx` file as `seewhy.load` does, with options of ONNX Runtime.

    Args:
        source: The path of the file.
        providers: The execution providers, the preferred one first, such as "CUDAExecutionProvider".
        threads: The number of threads that run an operator; None for ONNX Runtime's choice, the number of cores.
        trust: True skips the inspection of the file in a process with limited memory.

    Returns:
        The classifier: the model with the preprocessing and class names of its metadata or its sidecar.

    Raises:
        ModelError: The file does not exist, is malicious or is not supported, or the sidecar does not fit the model.
        WeightsError: The file is damaged, or one with weights is missing.
        OptionError: `providers` are not names, or `threads` is not a positive number.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ModelError(f"load_onnx was given {source!r}; expected the path of an .onnx file.")
    path = find_model(os.fspath(source))
    if path.suffix.lower() not in onnx_file.SUFFIXES:
        raise OptionError(f"providers and threads are for .onnx files; given {path}. Load it with seewhy.load.")
    return _load_onnx(path, trust=trust, providers=providers, threads=threads)


def _load_onnx(
    path: Path,
    *,
    trust: bool,
    providers: Sequence[str] = onnx_file.DEFAULT_PROVIDERS,
    threads: int | None = None,
) -> Classifier:
    given = read_sidecar(path)  # before the model, which takes longer
    model = onnx_file.load_model(path, trust=trust, providers=providers, threads=threads)
    metadata = read_metadata(model.metadata, path, has_size=model.has_fixed_size)
    return _classifier(path, model, metadata.updated(given))


def _classifier(path: Path, model: object, metadata: Sidecar) -> Classifier:
    sidecar_path = sidecar.path_beside(path)
    try:
        return classifier_of(model, metadata, path.stem)
    except (LayerError, ModelError) as error:
        problem = f"{sidecar_path} does not fit" if os.path.lexists(sidecar_path) else "Cannot use"
        raise ModelError(f"{problem} the model in {path}: {error}") from error


def expanded(source: str) -> Path:
    """Return a path, with `~` as the home folder."""
    try:
        return Path(source).expanduser()
    except (RuntimeError, ValueError) as error:  # there is no such user, or no user can have that name
        raise ModelError(f"There is no file {source}: the home folder is unknown.") from error


def similar_paths(path: Path) -> str:
    """Return `" Did you mean 'a'?"` with the names in the same folder that resemble one that does not exist."""
    try:
        return did_you_mean(path.name, os.listdir(path.parent))
    except (OSError, ValueError):  # a name that no file can have
        return ""


def find_model(source: str) -> Path:
    """Return the model file at a path, or the only one in the folder at the path.

    Raises:
        ModelError: There is no such file, or it is none with a model.
    """
    path = expanded(source)
    if not os.path.exists(path):  # Path.exists raises if a name is too long
        raise ModelError(f"There is no file {path}.{similar_paths(path)}")
    if path.is_dir():
        try:
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in MODEL_SUFFIXES)
        except OSError as error:
            raise ModelError(f"Cannot read the folder {path}: {error.strerror or error}.") from error
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise ModelError(
                f"The folder {path} contains {len(files)} models ({names}); expected exactly one. Give the path of "
                "the file."
            )
        return files[0]
    if path.suffix.lower() in torch_weights.SUFFIXES:
        if ultralytics_models.is_checkpoint(path):
            raise ModelError(
                f"{path} is a checkpoint of Ultralytics, a pickle of a whole model, and reading it could run any "
                f"program that it names. {ultralytics_models.from_checkpoint(str(path))}"
            )
        raise ModelError(_without_architecture(path))
    if path.suffix.lower() not in MODEL_SUFFIXES:
        raise ModelError(
            f"Cannot load {path}; expected a model saved by Keras, {' or '.join(keras_file.SUFFIXES[:2])}, or in the "
            "format ONNX, .onnx. Any other model can be loaded by a function that returns it: package.module:callable."
        )
    return path


def read_sidecar(model: Path) -> Sidecar:
    """Read the sidecar of a model file, if there is one.

    Raises:
        ModelError, WeightsError: As for `sidecar.read`.
    """
    path = sidecar.path_beside(model)
    # A link that leads nowhere, or to itself, exists too: reading it is an error, and not ignored.
    return sidecar.read(path) if os.path.lexists(path) else Sidecar()


def _without_architecture(path: Path) -> str:
    return (
        f"{path} contains the weights of a model and not the model. Give its architecture, for example --architecture "
        "timm:resnet18 --class-names FILE --preprocessing imagenet --input-size 224 on the command line, or "
        f"seewhy.load({path.name!r}, architecture='timm:resnet18', class_names=[...], preprocessing='imagenet', "
        "input_size=224): see docs/howto/weights-files.md. Or give a function that returns the model: "
        "package.module:callable."
    )


def classifier_of(model: object, metadata: Sidecar, name: str) -> Classifier:
    """Return a model with what its sidecar says about it."""
    config = metadata.preprocessing
    classifier = Classifier(
        model,
        preprocess=None if config is None else config.function(),
        class_names=metadata.class_names,
        input_size=metadata.input_size,
        name=name,
        layer=metadata.layer,
        sample_rate=metadata.sample_rate,
    )
    if config is None or config.is_only_a_name:
        return classifier
    return Classifier(
        model,
        preprocess=config.preprocessing(classifier.input_size),
        class_names=metadata.class_names,
        name=name,
        layer=metadata.layer,
        sample_rate=metadata.sample_rate,
    )
