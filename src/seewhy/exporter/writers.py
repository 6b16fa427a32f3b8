"""Writing exported models: each format is verified by its own runtime before it takes its place."""

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from seewhy.errors import LayerError, MethodError, MissingExtraError, ModelError, ModelRunError
from seewhy.explainer import Explainer
from seewhy.exporter.formats import FormatName
from seewhy.exporter.metadata import package_version
from seewhy.exporter.verification import Verification
from seewhy.frameworks import LayerChoice
from seewhy.frameworks.export_settings import PREFIX, ExplainedModel, ExportSettings
from seewhy.images.writing import write_atomically, write_together

MAX_BYTES = 2**31 - 2**20
"""Protobuf, the format of ONNX, has no larger messages."""

NATIVE: dict[FormatName, tuple[str, str, str]] = {
    "savedmodel": ("keras-tensorflow", "SavedModel", "a Keras model on TensorFlow"),
    "stablehlo": ("keras-jax", "StableHLO", "a Keras model on JAX"),
}
"""The formats that one framework writes: its name, that of the format, and what is written."""

PACKAGES: dict[FormatName, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "onnxruntime", "openvino"),
}
"""What is needed for a format besides the framework of the model; the extra has the name of the format."""

OF_BACKEND = {
    " with backend='onnx'": "",
    ", or leave out backend.": ".",
    " Leave out backend, and it runs in its framework.": "",
    " Leave out backend.": "",
}
"""What errors say of the option `backend` of explainers, and what is said in its place of an export."""

METADATA_FILE = "seewhy.json"
"""The file with the metadata of a SavedModel, in its folder for what others add."""


@final
@dataclass(frozen=True)
class Written:
    """What was written; the attributes are those of `Export`."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    deviation: float
    backward_passes: int
    metadata: Mapping[str, str]


@final
@dataclass(frozen=True)
class Task:
    """What is to be written.

    Attributes:
        path: Where.
        explainer: The source.
        layer: The layer that is explained.
        settings: What the exported model computes.
        metadata: What it says of itself.
        verification: What it has to return for samples.
    """

    path: Path
    explainer: Explainer
    layer: LayerChoice
    settings: ExportSettings
    metadata: Mapping[str, str]
    verification: Verification

    @property
    def inputs(self) -> Any:
        """The samples, as the source takes them."""
        return self.verification.samples.inputs

    def verified(self, model: ExplainedModel, outputs: Mapping[str, Any]) -> Written:
        """Compare outputs for the samples with those of the explainer, and return what is said of the model.

        Raises:
            ModelError: They deviate.
        """
        deviation = self.verification.check(outputs, self.settings)
        about = {
            **self.metadata,
            f"{PREFIX}activation": model.activation,
            f"{PREFIX}deviation": f"{deviation:.3g}",
            **({f"{PREFIX}layer": model.layer} if model.layer else {}),
        }
        return Written(model.inputs, model.outputs, deviation, model.backward_passes, about)


def write(kind: FormatName, task: Task) -> Written:
    """Export, verify and write a model.

    Raises:
        ModelError: The model cannot be exported to this format, or deviates from its source.
        MethodError, LayerError, TargetError: As for `Framework.explained_model`.
        MissingExtraError: A package is not installed.
        OutputError: The file cannot be written.
    """
    return WRITERS[kind](task)


def check_source(kind: FormatName, explainer: Explainer) -> None:
    """Raise an error where a format cannot be written from a model, as far as that is known before it runs.

    Raises:
        ModelError: The format is that of another framework, or the model takes one number of images only.
        MissingExtraError: A package is not installed.
    """
    for package in PACKAGES.get(kind, ()):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"For export to {kind}, {package}", kind)
    if kind not in NATIVE:
        return
    framework, (name, title, source) = explainer.classifier.framework, NATIVE[kind]
    if framework.name != name:
        raise ModelError(
            f"{title} is written from {source}, and {explainer.classifier.name!r} is a model of {framework.name}. "
            "Export it to ONNX or OpenVINO."
        )
    if framework.batch_size is not None:
        raise ModelError(
            f"{title} is written from a model that takes any number of images, and this one takes "
            f"{framework.batch_size}. Export it to ONNX or OpenVINO."
        )


def _onnx_model(task: Task) -> ExplainedModel:
    """Return the model as an ONNX model that computes its heatmaps."""
    framework = task.explainer.classifier.framework_in("float32", "onnx")
    with _without_backend():
        found = framework.explained_model(task.inputs, task.layer, task.settings)
    size = found.model.ByteSize()
    if size > MAX_BYTES:
        raise ModelError(f"The exported model would have {size / 1e9:.1f} GB, and an ONNX file has at most 2 GB.")
    if framework.batch_size is None:
        _check_other_batch(found, task)
    return found


@contextmanager
def _without_backend() -> Iterator[None]:
    """Reword what errors say of the option `backend`, by which the same ONNX model is run but not exported."""
    try:
        yield
    except (LayerError, ModelError, ModelRunError) as error:
        text = str(error)
        for said, meant in OF_BACKEND.items():
            text = text.replace(said, meant)
        if text == str(error):
            raise
        raise type(error)(text) from error


def _check_other_batch(found: ExplainedModel, task: Task) -> None:
    """Raise ModelError for a model that takes no other number of images than that of the samples."""
    from seewhy.frameworks.onnx.run_file import run_model

    feeds = task.verification.samples.feeds(found.inputs)
    count = len(next(iter(feeds.values())))
    other = {name: np.concatenate([values, values])[: 1 if count > 1 else 2] for name, values in feeds.items()}
    try:
        run_model(found.model, other)
    except ModelError as error:
        raise ModelError(
            f"The exported model would take batches of {count} images only, as many as it was exported with; {error}"
        ) from error


def _write_onnx(task: Task) -> Written:
    found = _onnx_model(task)
    from seewhy.frameworks.onnx.export_graph import with_metadata
    from seewhy.frameworks.onnx.run_file import run_model

    written = task.verified(found, run_model(found.model, task.verification.samples.feeds(found.inputs)))
    content = with_metadata(found.model, written.metadata, package_version()).SerializeToString()
    write_atomically(task.path, lambda file: file.write(content), durable=True)
    return written


def _write_openvino(task: Task) -> Written:
    """Convert the ONNX model. Its metadata say what ONNX Runtime was not asked: the deviation is OpenVINO's."""
    found = _onnx_model(task)
    from seewhy.frameworks.onnx.export_graph import with_metadata
    from seewhy.frameworks.onnx.openvino import run_openvino, write_openvino

    feeds, written = task.verification.samples.feeds(found.inputs), list[Written]()

    def write_verified(path: Path) -> None:
        write_openvino(found.model.SerializeToString(), path)
        written.append(task.verified(found, run_openvino(path, feeds, found.outputs)))
        model = with_metadata(found.model, written[0].metadata, package_version())
        write_openvino(model.SerializeToString(), path)

    write_together(task.path, write_verified)
    return written[0]


def _write_saved_model(task: Task) -> Written:
    _check_layer_method(task)
    framework: Any = task.explainer.classifier.framework
    from seewhy.frameworks.tensorflow.saved_model import run_saved_model, write_saved_model

    written: list[Written] = []

    def write_verified(path: Path) -> None:
        found = write_saved_model(framework, path, task.inputs, task.layer, task.settings)
        outputs = run_saved_model(path, task.verification.samples.feeds(found.inputs))
        written.append(task.verified(found, outputs))
        extra = path / "assets.extra" / METADATA_FILE
        write_atomically(extra, lambda file: file.write(_as_json(written[0].metadata)))

    write_together(task.path, write_verified)
    return written[0]


def _write_stablehlo(task: Task) -> Written:
    _check_layer_method(task)
    framework: Any = task.explainer.classifier.framework
    from seewhy.frameworks.jax.stablehlo import explained_stablehlo, run_stablehlo

    found = explained_stablehlo(framework, task.inputs, task.layer, task.settings)
    written = task.verified(found, run_stablehlo(found.model, task.verification.samples.feeds(found.inputs)))

    def write_both(path: Path) -> None:
        write_atomically(path, lambda file: file.write(found.model))
        beside = path.with_name(f"{path.name}.json")
        write_atomically(beside, lambda file: file.write(_as_json(written.metadata)))

    write_together(task.path, write_both)
    return written


def _check_layer_method(task: Task) -> None:
    """Raise MethodError for a method that explains attention maps, which the framework's own formats do not have."""
    method = task.settings.method
    if method.family == "attention":
        raise MethodError(
            f"{method.title} explains all attention layers together, which is exported to ONNX or OpenVINO. Export it "
            "so, or use a method that explains a layer, such as gradcam."
        )


def _as_json(metadata: Mapping[str, str]) -> bytes:
    return (json.dumps(dict(metadata), indent=2, ensure_ascii=False) + "\n").encode()


WRITERS: dict[FormatName, Callable[[Task], Written]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "savedmodel": _write_saved_model,
    "stablehlo": _write_stablehlo,
}
