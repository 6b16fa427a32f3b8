"""Writing exported models: each format is verified by its own runtime before it takes its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import seewhy
from seewhy.errors import ModelError, OptionError
from seewhy.explainer import Explainer
from seewhy.exporter.formats import FormatName
from seewhy.exporter.verification import Verification
from seewhy.frameworks import LayerChoice, exported
from seewhy.frameworks.export_settings import PREFIX, ExplainedModel, ExportSettings
from seewhy.images.writing import write_atomically

MAX_BYTES = 2**31 - 2**20
"""Protobuf, the format of ONNX, has no larger messages."""


@final
@dataclass(frozen=True)
class Written:
    """What was written; the attributes are those of `Export`."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    deviation: float
    backward_passes: int
    metadata: Mapping[str, str]


def write(
    kind: FormatName,
    path: Path,
    explainer: Explainer,
    layer: LayerChoice,
    settings: ExportSettings,
    metadata: Mapping[str, str],
    verification: Verification,
) -> Written:
    """Export, verify and write a model.

    Raises:
        ModelError: The model cannot be exported to this format, or deviates from its source.
        MethodError, LayerError, TargetError: As for `Framework.explained_model`.
        MissingExtraError: A package is not installed.
        OutputError: The file cannot be written.
    """
    if kind == "onnx":
        return _write_onnx(path, explainer, layer, settings, metadata, verification)
    raise OptionError(f"Exporting to {kind} is not available.")


def explained(
    explainer: Explainer, layer: LayerChoice, settings: ExportSettings, verification: Verification
) -> ExplainedModel:
    """Return the model as an ONNX model that computes its heatmaps."""
    framework = exported(explainer.framework)
    return framework.explained_model(verification.samples.inputs, layer, settings)


def _write_onnx(
    path: Path,
    explainer: Explainer,
    layer: LayerChoice,
    settings: ExportSettings,
    metadata: Mapping[str, str],
    verification: Verification,
) -> Written:
    found = explained(explainer, layer, settings, verification)
    from seewhy.frameworks.onnx.export_graph import with_metadata
    from seewhy.frameworks.onnx.run_file import run_model

    size = found.model.ByteSize()
    if size > MAX_BYTES:
        raise ModelError(f"The exported model would have {size / 1e9:.1f} GB, and an ONNX file has at most 2 GB.")
    about = {**metadata, f"{PREFIX}activation": found.activation}
    if found.layer:
        about[f"{PREFIX}layer"] = found.layer
    content = found.model.SerializeToString()
    outputs = run_model(content, verification.samples.feeds(found.inputs))
    deviation = verification.deviation(outputs, settings)
    about[f"{PREFIX}deviation"] = f"{deviation:.3g}"
    content = with_metadata(found.model, about, seewhy.__version__).SerializeToString()
    write_atomically(path, lambda file: file.write(content), durable=True)
    return Written(found.inputs, found.outputs, deviation, found.backward_passes, about)
