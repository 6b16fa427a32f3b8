"""The heatmaps of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.attribution.attribute import Attribution
from seewhy.frameworks import Framework
from seewhy.frameworks.array_home import ArrayHome, array_home
from seewhy.frameworks.structures import ArrayTree, map_tree
from seewhy.images.geometry import WHOLE, InputBox
from seewhy.interpolation import resize
from seewhy.models import Classifier
from seewhy.representation import ShortTuple, counted, description, listed, shape_text, shortened
from seewhy.results.data_frame import Library, data_frame
from seewhy.targets import Target
from seewhy.targets.detection import FixedDetections
from seewhy.targets.regression import are_values, output_name
from seewhy.targets.target import target_count_error
from seewhy.types import AttentionCapture, BoolArray, Capture, FloatArray, IndexArray, NativeTensor


@final
@dataclass(frozen=True, eq=False, repr=False)
class Heatmaps:
    """The heatmaps of a batch: N images, T targets each, at the layer's resolution.

    Attributes:
        values: float32 (N, T, *space), in the method's units, which for most methods are score units; 0 where there is
            no evidence for the target, or negative with `signed=True`. Not normalised, so that values compare across
            images, targets and calls; fused heatmaps of several layers are in 0..1.
        indices: (N, T), the class of each target; -1 for a target that is not a class.
        scores: float32 (N, T), what was explained: logits, or probabilities with `score="probability"`; by finercam,
            their differences from those of similar classes.
        outputs: (N, ...), the selected output; all outputs of the model where none was selected.
        probabilities: float32 (N, C), or None where the outputs are not class scores, or are explained as values
            (`Regression`). A single sigmoid unit is two classes; outputs without a final activation are passed through
            a softmax.
        layer: The path of the layer in the model; of several layers, their paths with commas.
        method: The method's name.
        method_reason: Why `method="auto"` chose it; empty where the caller named it.
        boxes: float32 (N, T, 4), the box of each target that is a detection: left, top, right and bottom as shares of
            the width and height of the model's input. None for a model that is no detector.
        detection_scores: float32 (N, T), how sure the detector is of each, in 0..1.
        names: The name of each target of each image, N times T.
        input_box: (top, left, bottom, right) of the heatmaps on the model's input, as shares of its height and width:
            not (0, 0, 1, 1) where the model itself crops or pads its input.
    """

    values: FloatArray
    indices: IndexArray
    scores: FloatArray
    outputs: ArrayTree
    probabilities: FloatArray | None
    layer: str
    method: str
    names: tuple[tuple[str, ...], ...] = ()
    input_box: InputBox = WHOLE
    method_reason: str = ""
    boxes: FloatArray | None = None
    detection_scores: FloatArray | None = None
    _home: ArrayHome = field(default_factory=ArrayHome, kw_only=True)

    def __repr__(self) -> str:
        names = listed(self.names[0]) if self.names else ""
        more = " for the first image" if len(set(self.names)) > 1 else ""
        return description(
            self,
            f"of {counted(len(self), 'image')}: {shape_text(self.values)}, {self.method} at {shortened(self.layer)}"
            f"{names and f'; targets{more}: {names}'}",
        )

    @property
    def has_evidence(self) -> BoolArray:
        """(N, T): whether a heatmap has a positive value."""
        return np.asarray(self.values.reshape(*self.values.shape[:2], -1).max(axis=2) > 0)

    @property
    def tensor(self) -> NativeTensor:
        """`values` as an array of the model's framework, on the device of its weights; made anew by each access.

        A model of ONNX has NumPy arrays.
        """
        return self._home.array(self.values)

    def to_dataframe(self, library: Library | None = None) -> Any:
        """Return a data frame with a row for each target of each image.

        Its columns are `image` and `target`, their positions; the target's `index`, `name`, `score` and `probability`,
        which is missing for a target that is not a class; the `peak` and the `sum` of its heatmap; `layer` and
        `method`; and of a detection the `left`, `top`, `right` and `bottom` of its box.

        Args:
            library: "pandas" or "polars"; None for pandas, or polars where pandas is not installed.

        Raises:
            OptionError: The library is unknown.
            MissingExtraError: It is not installed.
        """
        images, targets = self.values.shape[:2]
        flat = self.values.reshape(images * targets, -1)
        columns: dict[str, list[Any]] = {
            "image": np.repeat(np.arange(images), targets).tolist(),
            "target": np.tile(np.arange(targets), images).tolist(),
            "index": np.asarray(self.indices).ravel().tolist(),
            "name": [name for row in self.names for name in row] or [""] * len(flat),
            "score": np.asarray(self.scores).ravel().tolist(),
            "probability": self._probabilities(),
            "peak": flat.max(axis=1).tolist(),
            "sum": flat.sum(axis=1, dtype=np.float64).tolist(),
            "layer": [self.layer] * len(flat),
            "method": [self.method] * len(flat),
        }
        if self.boxes is not None:
            edges = np.asarray(self.boxes).reshape(-1, 4).T.tolist()
            columns |= dict(zip(("left", "top", "right", "bottom"), edges, strict=True))
        return data_frame(columns, library, floats=["probability"])

    def _probabilities(self) -> list[float | None]:
        if self.detection_scores is not None:
            return [float(score) for score in np.ravel(self.detection_scores)]
        known = self.probabilities
        return [
            None if known is None or index < 0 else float(known[row, index])
            for row, indices in enumerate(self.indices)
            for index in indices
        ]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return `values`, for `np.asarray(heatmaps)`."""
        return np.array(self.values, dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)


def build_heatmaps(
    attribution: Attribution,
    target: Target,
    *,
    framework: Framework,
    classifier: Classifier,
    method: str,
    signed: bool,
    image_size: tuple[int, int] | None = None,
    input_box: InputBox = WHOLE,
    method_reason: str = "",
) -> Heatmaps:
    """Copy an attribution to NumPy arrays, and name its targets.

    Args:
        attribution: Raw heatmaps, and what was captured.
        target: What was explained.
        framework: Whose tensors these are.
        classifier: Knows the names of the classes.
        method: The method's name.
        image_size: (h, w) of the input in pixels, by which the boxes of detections become shares.
        method_reason: As in `Heatmaps`.
        signed: True keeps negative values; False makes them 0, which is the papers' ReLU.
        input_box: As in `Heatmaps`.
    """
    capture, to_numpy = attribution.capture, framework.to_numpy
    indices, class_name = to_numpy(capture.indices), classifier.class_name
    is_value = is_one_value(capture, target)
    if is_value and classifier.class_names is None:
        class_name = _value_name
    names = [target.for_image(row).names(classes, class_name) for row, classes in enumerate(indices)]
    if is_value:
        indices = np.full_like(indices, -1)
    values = attribution.heatmaps if signed else np.maximum(attribution.heatmaps, 0)
    probabilities = None if are_values(target) else capture.probabilities
    return Heatmaps(
        values=np.asarray(values, dtype=np.float32),
        indices=np.maximum(indices, -1),
        scores=to_numpy(capture.scores),
        outputs=map_tree(lambda output: None if output is None else to_numpy(output), capture.outputs),
        probabilities=None if probabilities is None else to_numpy(probabilities),
        layer=capture.layer or "input",
        method=method,
        names=ShortTuple(
            ShortTuple(row if all(row) else (name or f"target {t}" for t, name in enumerate(row))) for row in names
        ),
        input_box=input_box,
        method_reason=method_reason,
        _home=array_home(classifier.framework, classifier.model),
        **_of_detections(target, image_size),
    )


def _of_detections(target: Target, image_size: tuple[int, int] | None) -> dict[str, FloatArray]:
    """Return the boxes and the scores of detections of one image, as `Heatmaps` has them; nothing for other targets."""
    if not isinstance(target, FixedDetections) or image_size is None:
        return {}
    height, width = image_size
    shares = np.asarray(target.boxes[None] / (width, height, width, height), dtype=np.float32)
    return {"boxes": shares, "detection_scores": target.detection_scores[None]}


def is_one_value(capture: Capture | AttentionCapture, target: Target) -> bool:
    """Whether a target that is, or contains, a class explains the one value of a model without a final activation.

    It is a quantity rather than a class, also as one of several targets, and as a counterfactual.
    """
    shape: tuple[int, ...] = getattr(capture.outputs, "shape", ())
    return target.reads_classes and capture.probabilities is None and len(shape) == 2 and shape[1] == 1


def _value_name(index: int) -> str:
    return "" if index < 0 else output_name(index)


def join_rows(parts: Sequence[Heatmaps]) -> Heatmaps:
    """Join the heatmaps of single images, which are of one layer and the same number of targets."""

    def joined(*arrays: Any) -> Any:
        if arrays[0] is None:
            return None
        if isinstance(arrays[0], (list, dict)):
            keys = arrays[0] if isinstance(arrays[0], dict) else range(len(arrays[0]))
            values = [joined(*(array[key] for array in arrays)) for key in keys]
            return dict(zip(keys, values, strict=True)) if isinstance(arrays[0], dict) else values
        return np.concatenate(arrays)

    if len({part.values.shape[1:] for part in parts}) > 1:
        raise target_count_error([part.values.shape[1] for part in parts])
    fields = ("values", "indices", "scores", "outputs", "probabilities")
    arrays = {field: joined(*(getattr(part, field) for part in parts)) for field in fields}
    layers = ", ".join(dict.fromkeys(part.layer for part in parts))
    return replace(parts[0], **arrays, layer=layers, names=ShortTuple(name for part in parts for name in part.names))


def join_detections(parts: Sequence[Sequence[tuple[Heatmaps, int]]]) -> Heatmaps:
    """Join heatmaps of single images, which may be of several layers.

    Heatmaps of lower resolution are resized bilinearly to the highest. All are in units of the score.

    Args:
        parts: For each detection of each image the heatmaps (1, T, h, w) of its layer, and its position among those.

    Raises:
        TargetError: The images have different numbers of detections.
    """
    if len({len(row) for row in parts}) > 1:
        raise target_count_error([len(row) for row in parts])
    flat = [part for row in parts for part, _ in row]
    largest = tuple(max(sizes) for sizes in zip(*(part.values.shape[2:] for part in flat), strict=True))

    def joined(field: str) -> Any:
        rows = [[getattr(part, field)[:, position : position + 1] for part, position in row] for row in parts]
        if field == "values":
            rows = [[resize(values, largest) for values in row] for row in rows]
        return np.concatenate([np.concatenate(row, axis=1) for row in rows])

    return replace(
        flat[0],
        values=joined("values"),
        indices=joined("indices"),
        scores=joined("scores"),
        boxes=joined("boxes"),
        detection_scores=joined("detection_scores"),
        outputs=[row[0][0].outputs for row in parts],
        layer=", ".join(dict.fromkeys(part.layer for part in flat)),
        names=ShortTuple(ShortTuple(part.names[0][position] for part, position in row) for row in parts),
    )
