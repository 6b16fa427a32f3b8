"""`seewhy.export`: a model and its explanation in one file."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import final

from seewhy.errors import OptionError, short_repr
from seewhy.explainer import Explainer
from seewhy.exporter.formats import FormatName, check_path, choose_format
from seewhy.exporter.metadata import metadata
from seewhy.exporter.samples import make_samples
from seewhy.exporter.scope import check_explainer, check_is_explainer, check_tolerance, exported_classes
from seewhy.exporter.settings import export_settings
from seewhy.exporter.verification import Verification
from seewhy.exporter.writers import Task, check_source, write
from seewhy.images.reading import ImageLike
from seewhy.representation import call_repr
from seewhy.targets import TargetSpec

_logger = logging.getLogger("seewhy.exporter")

DEFAULT_TOLERANCE = 1e-3


@final
@dataclass(frozen=True, repr=False)
class Export:
    """A model that was exported with its explanation.

    Attributes:
        path: The file; for a SavedModel its folder.
        format: "onnx", "openvino", "savedmodel" or "stablehlo".
        inputs: The names of the inputs.
        outputs: The names of the outputs: "scores", "probabilities", "heatmaps" and "classes", as far as it has them.
        layer: The layer that is explained.
        method: The name of the method.
        deviation: How far its outputs were from those of the explainer on the samples, relative to the largest value.
        backward_passes: How many backward passes through the head it contains; 0 where all heatmaps are one product.
        metadata: What the file says of itself.
    """

    path: Path
    format: FormatName
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layer: str
    method: str
    deviation: float
    backward_passes: int
    metadata: Mapping[str, str]

    def __repr__(self) -> str:
        shown = ("outputs", "method", "layer", "deviation")
        return call_repr("Export", {"path": str(self.path), **{name: getattr(self, name) for name in shown}})


def export(
    explainer: Explainer,
    path: str | os.PathLike[str],
    *,
    to: str | None = None,
    targets: TargetSpec | None = None,
    preprocess: bool = False,
    place: bool = False,
    tolerance: float = DEFAULT_TOLERANCE,
    samples: Iterable[ImageLike] | None = None,
) -> Export:
    """Write a model that returns its heatmaps with its scores, so that any runtime can show the evidence.

    Before it takes its place at `path`, it is run on samples by the runtime of its format, and its outputs are compared
    with those of the explainer. It takes images of one size, and any number of them unless the model has a fixed one.

    Args:
        explainer: Explains the model at one layer, by a method that needs no perturbations, such as gradcam, hirescam,
            gradcam++, xgradcam, layercam, elementwise or cam; at its input, such as saliency; or by its attention maps,
            such as legrad_rollout, in ONNX and OpenVINO.
        path: Where it is written.
        to: "onnx", "openvino", "savedmodel" or "stablehlo"; None reads it from the suffix: ".onnx", ".xml", none, or
            ".stablehlo".
        targets: "top-3", the classes of the highest scores; "all"; or a class or a list of classes. None is "top-5", or
            as many as there are. Where the head is not linear in the layer or its mean over space, each target takes a
            backward pass in the model, and there are at most 32.
        preprocess: True exports a model that takes pixels, uint8 (N, h, w, 3), as the input "image": they have the size
            of the model's input, and scaling and layout are done inside. False leaves the model's own input.
        place: True enlarges heatmaps to the size of the input, as an overlay does.
        tolerance: How far outputs may be from those of the explainer, relative to the largest value.
        samples: Images on which they are compared; None takes images that come with SeeWhy, and noise.

    Returns:
        What was written, and the deviation that was measured.

    Raises:
        MethodError, LayerError, TargetError, OptionError: The explainer cannot be exported so; the message says why.
        ModelError: The framework or the format does not allow it; or the outputs deviate by more than the tolerance,
            and no file is left.
        OutputError: The file cannot be written.
        MissingExtraError: A package for the format is not installed.
    """
    check_is_explainer(explainer)
    if not isinstance(path, (str, os.PathLike)):
        raise OptionError(f"export was given the path {short_repr(path)}; expected a name such as 'model.onnx'.")
    destination = Path(path)
    kind = choose_format(destination, to)
    check_path(destination, kind)
    check_tolerance(tolerance)
    check_explainer(explainer)
    check_source(kind, explainer)
    given = make_samples(explainer.classifier, samples, as_pixels=preprocess)
    classes = exported_classes(explainer, targets, given.inputs)
    verification = Verification.of(explainer, given, classes, is_placed=place, tolerance=tolerance)
    settings, layer = export_settings(explainer, verification.heatmaps, given, classes, is_placed=place)
    about = metadata(
        explainer, verification.heatmaps, classes, takes_pixels=preprocess, is_placed=place, tolerance=tolerance
    )
    written = write(kind, Task(destination, explainer, layer, settings, about, verification))
    _logger.info("wrote %s, whose outputs deviate by %.1e of the largest value", destination, written.deviation)
    return Export(
        path=destination,
        format=kind,
        inputs=written.inputs,
        outputs=written.outputs,
        layer=verification.heatmaps.layer,
        method=verification.heatmaps.method,
        deviation=written.deviation,
        backward_passes=written.backward_passes,
        metadata=MappingProxyType(dict(written.metadata)),
    )
