"""The kinds of detectors: torchvision's, YOLO, Hugging Face's DETR family, and models that return lists of boxes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, final

import torch
from torch.overrides import TorchFunctionMode

from seewhy.errors import ModelRunError
from seewhy.frameworks.torch import ultralytics
from seewhy.frameworks.torch.detectors.detector import Detector, Found
from seewhy.frameworks.torch.detectors.yolo import ObjectnessDetector, RtDetrDetector, YoloDetector, has_objectness
from seewhy.frameworks.torch.hugging_face import is_hugging_face
from seewhy.types import NativeTensor

KEYS = ("boxes", "labels", "scores")

LOGIT_MODULES = ("roi_heads.box_predictor", "head.classification_head")
"""Where torchvision's detectors compute class logits: the R-CNN family, and detectors with one stage."""

SCORES = {"FasterRCNN": "softmax", "SSD": "softmax", "RetinaNet": "sigmoid"}
"""How torchvision's detectors make scores of class logits. FCOS multiplies them with how central a candidate is, so
that they do not tell the candidate of a detection."""

BACKGROUND = 0
"""The column of the background where a softmax makes the scores."""

ACTIVATIONS = {"sigmoid", "softmax", "special_expit", "special_softmax"}
"""The functions that make scores of class logits."""

MOST_QUERIES = 300
"""How many of the pairs of a query and a class are detections, the surest."""


def declared_detector(model: torch.nn.Module) -> Detector | None:
    """Return how a detector of torchvision, Ultralytics or Hugging Face is read; None for any other model."""
    bases = [(base.__module__, base.__name__) for base in type(model).__mro__]
    if any(module.startswith("torchvision.models.detection.") for module, _ in bases):
        return TorchvisionDetector(model)
    if is_hugging_face(model) and type(model).__name__.endswith("ForObjectDetection"):
        return QueryDetector(model)
    if ultralytics.is_detector(model):
        return RtDetrDetector(model) if ultralytics.is_rt_detr(model) else YoloDetector(model)
    return None


def detector_of_outputs(model: torch.nn.Module, outputs: Any) -> Detector | None:
    """Return how a model is read that returned these outputs; None unless they are boxes."""
    is_list = isinstance(outputs, (list, tuple)) and len(outputs) > 0
    if is_list and all(isinstance(row, Mapping) and all(key in row for key in KEYS) for row in outputs):
        return ListDetector(model)
    return ObjectnessDetector(model) if has_objectness(outputs) else None


@final
class TorchvisionDetector(Detector):
    """A detector of torchvision, which returns the boxes of each image that non-maximum suppression left."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model)
        paths = {path for path, _ in model.named_modules()}
        self.logits_path = next((path for path in LOGIT_MODULES if path in paths), None)
        names = {base.__name__ for base in type(model).__mro__}
        self._activation = next((kind for name, kind in SCORES.items() if name in names), None)
        self._activations = ActivationRecorder()

    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        if class_logits is None:
            return ListDetector(self._model).read(outputs, None, size)
        boxes, labels, scores = _lists(outputs)
        probabilities = self._probabilities(labels, scores, class_logits)
        calls, self._activations = self._activations.calls, ActivationRecorder()  # which holds the graph of the run
        return Found(boxes, labels, scores, class_logits, probabilities=probabilities, calls=calls)

    @contextmanager
    def recording(self, *, is_differentiated: bool = False) -> Iterator[list[NativeTensor]]:
        self._activations = ActivationRecorder()
        recorder = self._activations if is_differentiated else nullcontext()
        with super().recording(is_differentiated=is_differentiated) as recorded, recorder:
            yield recorded

    def _probabilities(
        self, labels: list[NativeTensor], scores: list[NativeTensor], class_logits: NativeTensor
    ) -> list[NativeTensor] | None:
        """Return the class probabilities of detections, of those candidates whose probability is the score."""
        if self._activation is None:
            return None
        if self._activation == "softmax":
            is_class = torch.arange(class_logits.shape[-1], device=class_logits.device) != BACKGROUND
            candidates = class_logits.softmax(dim=-1) * is_class
        else:
            candidates = class_logits.sigmoid()
        found = []
        for image, (classes, given) in enumerate(zip(labels, scores, strict=True)):
            # The family of R-CNN computes the candidates of all images together.
            rows = candidates if candidates.ndim == 2 else candidates[image]
            gaps = (rows.detach()[:, classes] - given.detach()).abs()
            found.append(rows[gaps.argmin(dim=0)] if len(classes) else rows[:0])
        return found


@final
class ActivationRecorder(TorchFunctionMode):
    """Records the input and the output of every sigmoid and softmax while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[NativeTensor, NativeTensor]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in ACTIVATIONS and args:
            self.calls.append((args[0], result))
        return result


@final
class ListDetector(Detector):
    """A detector that returns a dict with boxes, labels and scores for each image.

    Its class logits are the input of the last sigmoid or softmax that the scores were computed from. Where there is
    none, the logit of a detection is computed from its score s, as log(s / (1 - s)).
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model)
        self._activations = ActivationRecorder()
        self._number: int | None = None  # of the activation among all that the model calls
        self._is_first = False

    @contextmanager
    def recording(self, *, is_differentiated: bool = False) -> Iterator[list[NativeTensor]]:
        self._activations = ActivationRecorder()
        if is_differentiated:
            torch.set_grad_enabled(True)
        with self._activations:
            yield []
        self._is_first = is_differentiated

    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        boxes, labels, scores = _lists(outputs)
        calls, self._activations = self._activations.calls, ActivationRecorder()  # which holds the graph of the run
        if self._is_first:
            self._number = _number_of_source(scores[0], calls)
        if self._number is not None and self._number < len(calls):
            logits, activated = calls[self._number]
            return Found(boxes, labels, scores, logits.reshape(-1, 1), activated=activated)
        tiny = torch.finfo(scores[0].dtype)
        inside = scores[0].clamp(tiny.tiny, 1 - tiny.eps)
        rows = torch.arange(len(inside), device=inside.device)
        entries = torch.stack([rows, torch.zeros_like(rows)], dim=1)
        return Found(boxes, labels, scores, torch.logit(inside)[:, None], entries)


@final
class QueryDetector(Detector):
    """A detector of the DETR family: class logits (N, queries, C), and boxes as shares of the image.

    With one column more than there are classes, the last column is "no object", and a softmax gives the scores; a query
    is then one detection. Otherwise a sigmoid gives them, and a query may be a detection of several classes.
    """

    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        logits, shares = outputs["logits"], outputs["pred_boxes"]
        height, width = size
        centre, extent = shares[..., :2], shares[..., 2:]
        corners = torch.cat([centre - extent / 2, centre + extent / 2], dim=-1)
        boxes = corners * corners.new_tensor([width, height, width, height])
        labels = getattr(self._model.config, "num_labels", None)
        if labels is not None and logits.shape[-1] == labels + 1:
            probabilities = logits.softmax(dim=-1)[..., :-1]
            scores, columns = probabilities.max(dim=-1)
            rows = torch.arange(logits.shape[1], device=logits.device).expand_as(columns)
        else:
            probabilities = logits.sigmoid()
            flat = probabilities.flatten(1)
            scores, positions = flat.topk(min(MOST_QUERIES, flat.shape[1]))
            rows, columns = positions // logits.shape[-1], positions % logits.shape[-1]
        chosen, of_classes = (
            [part[row] for part, row in zip(parts, rows, strict=True)] for parts in (boxes, probabilities)
        )
        entries = torch.stack([rows[0], columns[0]], dim=1)
        return Found(chosen, list(columns), list(scores), logits, entries, probabilities=of_classes)


def _lists(outputs: Any) -> tuple[list[NativeTensor], list[NativeTensor], list[NativeTensor]]:
    for row in outputs:
        shapes = [getattr(row[key], "shape", None) for key in KEYS]
        count = len(row["labels"]) if shapes[1] is not None and len(shapes[1]) == 1 else None
        if not all(isinstance(row[key], torch.Tensor) for key in KEYS) or shapes != [(count, 4), (count,), (count,)]:
            given = ", ".join(
                f"{key}: {type(row[key]).__name__}{'' if shape is None else f' {tuple(shape)}'}"
                for key, shape in zip(KEYS, shapes, strict=True)
            )
            raise ModelRunError(
                f"A detector returns tensors for each image: boxes (D, 4), labels (D,) and scores (D,). This one "
                f"returned {given}."
            )
    boxes, labels, scores = ([row[key] for row in outputs] for key in KEYS)
    return boxes, labels, scores


def _number_of_source(scores: NativeTensor, calls: Sequence[tuple[NativeTensor, NativeTensor]]) -> int | None:
    """Return the number of the last activation that the scores of an image are computed from; None if there is none."""
    if not scores.requires_grad:
        return None
    for number in reversed(range(len(calls))):
        activated = calls[number][1]
        if activated.requires_grad:
            (gradients,) = torch.autograd.grad(scores.sum(), activated, retain_graph=True, allow_unused=True)
            if gradients is not None and int((gradients != 0).sum()) == len(scores):
                return number
    return None
