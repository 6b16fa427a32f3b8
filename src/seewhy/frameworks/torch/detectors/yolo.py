"""YOLO: the detectors of Ultralytics, and those of older repositories, whose candidates also have an objectness."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, final

import torch
from torch.overrides import TorchFunctionMode

from seewhy.errors import ModelRunError
from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.torch.detectors.detector import Detector, Found
from seewhy.frameworks.torch.detectors.suppression import MOST_DETECTIONS, surest_apart
from seewhy.frameworks.torch.private_api import remove_hook
from seewhy.threads import this_thread
from seewhy.types import NativeTensor

LARGEST_OVERLAP = 0.7
"""The overlap from which on Ultralytics leaves out the less sure of two detections of a class."""

LARGEST_OVERLAP_WITH_ANCHORS = 0.45
"""The same in YOLOv5 and YOLOv7, as their own programs have it."""

ONE_TO_ONE = "one2one"
"""How the names of those parts of a head begin that find each object once, and need no suppression."""


class Joined(NamedTuple):
    """What a head joins before anything is chosen: boxes (N, 4, A), and class scores (N, C, A) with their logits."""

    boxes: NativeTensor
    scores: NativeTensor
    logits: NativeTensor


@final
class JoinRecorder(TorchFunctionMode):
    """Records where boxes and the sigmoid of class logits are joined; the last time is that of the output."""

    def __init__(self) -> None:
        super().__init__()
        self.joined: Joined | None = None
        self._last: tuple[NativeTensor, NativeTensor] | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name == "sigmoid":
            self._last = (args[0], result)
        elif name == "cat" and self._last is not None and _are_boxes_and(self._last[1], args[0]):
            self.joined = Joined(args[0][0], self._last[1], self._last[0])
        return result


@final
class YoloDetector(Detector):
    """A YOLO of Ultralytics, version 3 to 26, also those with masks or keypoints.

    The head returns a score for each class and each candidate. Where the model leaves suppression to its caller, it is
    done here, as in `ultralytics`: a candidate stands for its most probable class.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__(model)
        self._recorder = JoinRecorder()

    @contextmanager
    def recording(self, *, is_differentiated: bool = False) -> Iterator[list[NativeTensor]]:
        self._recorder = JoinRecorder()
        with attached(self._head), self._recorder:
            yield []

    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        joined, self._recorder = self._recorder.joined, JoinRecorder()  # which holds the graph of the run
        if joined is None:
            raise ModelRunError(
                f"The head of the model, {type(self._head).__name__}, computes its scores in a way that is not known "
                "here. Wrap the model in a torch.nn.Module that returns a list with a dict of boxes, labels and scores "
                "for each image."
            )
        boxes, scores, logits = (part.transpose(1, 2) for part in joined)
        finds_once = bool(getattr(self._head, "end2end", False))
        if not (finds_once or getattr(self._head, "xyxy", False)):
            boxes = corners(boxes)
        if finds_once:
            return surest_pairs(boxes, scores, logits)
        return suppressed(boxes, scores, logits, LARGEST_OVERLAP)

    @property
    def _head(self) -> torch.nn.Module:
        *_, head = self._model.model.children()  # type: ignore[union-attr]
        return head


@final
class RtDetrDetector(Detector):
    """An RT-DETR of Ultralytics: queries with boxes in shares of the input, and class logits."""

    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        shares, logits = (layers[-1] for layers in outputs[1][:2])
        height, width = size
        boxes = corners(shares) * shares.new_tensor([width, height, width, height])
        return surest_pairs(boxes, logits.sigmoid(), logits)


@final
class ObjectnessDetector(Detector):
    """YOLOv5 and YOLOv7 of their own repositories: candidates with an objectness, whose product with it is the score.

    The logit of a class is the sum of both logits. The class alone is trained on objects only, and says nothing about
    whether there is one.
    """

    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        decoded, levels = outputs[:2]
        flat = torch.cat([level.flatten(1, -2) for level in levels], dim=1)
        logits = flat[..., 4:5] + flat[..., 5:]
        objectness = decoded[..., 4]
        scores = objectness[..., None] * decoded[..., 5:]
        return suppressed(corners(decoded[..., :4]), scores, logits, LARGEST_OVERLAP_WITH_ANCHORS, objectness)


def has_objectness(outputs: Any) -> bool:
    """Whether a model returned what `ObjectnessDetector` reads: decoded candidates, and a grid of logits per level."""
    if not isinstance(outputs, (list, tuple)) or len(outputs) != 2 or not isinstance(outputs[1], list):
        return False
    decoded, levels = outputs
    if not isinstance(decoded, torch.Tensor) or decoded.ndim != 3 or decoded.shape[-1] < 6 or not levels:
        return False
    if not all(isinstance(level, torch.Tensor) and level.ndim == 5 for level in levels):
        return False
    count = sum(level[0, ..., 0].numel() for level in levels)
    return decoded.shape[1] == count and all(level.shape[-1] == decoded.shape[-1] for level in levels)


def corners(boxes: NativeTensor) -> NativeTensor:
    """Return boxes (..., 4) as left, top, right and bottom, from centre, width and height."""
    centre, extent = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - extent / 2, centre + extent / 2], dim=-1)


def suppressed(
    boxes: NativeTensor,
    scores: NativeTensor,
    logits: NativeTensor,
    largest_overlap: float,
    objectness: NativeTensor | None = None,
) -> Found:
    """Return the detections of candidates of which each stands for its most probable class.

    Args:
        boxes: (N, A, 4), left, top, right and bottom.
        scores: (N, A, C).
        logits: (N, A, C).
        largest_overlap: As for `surest_apart`.
        objectness: (N, A), as in `Found`.
    """
    best, labels = scores.max(dim=-1)
    candidates = zip(boxes.detach(), labels, best.detach(), strict=True)
    rows = [surest_apart(*image, largest_overlap) for image in candidates]
    return Found(
        _of_rows(boxes, rows),
        _of_rows(labels, rows),
        _of_rows(best, rows),
        logits,
        torch.stack([rows[0], labels[0][rows[0]]], dim=1),
        probabilities=_of_rows(scores, rows),
        objectness=None if objectness is None else _of_rows(objectness, rows),
    )


def surest_pairs(boxes: NativeTensor, scores: NativeTensor, logits: NativeTensor) -> Found:
    """Return the surest pairs of a candidate and a class as detections; the arguments are those of `suppressed`."""
    classes, flat = scores.shape[-1], scores.flatten(1)
    best, positions = flat.topk(min(MOST_DETECTIONS, flat.shape[1]))
    rows, labels = positions // classes, positions % classes
    entries = torch.stack([rows[0], labels[0]], dim=1)
    of_classes = _of_rows(scores, rows)
    return Found(_of_rows(boxes, rows), list(labels), list(best), logits, entries, probabilities=of_classes)


def _of_rows(candidates: NativeTensor, rows: Iterable[NativeTensor]) -> list[NativeTensor]:
    """Return some candidates of each image."""
    return [image[chosen] for image, chosen in zip(candidates, rows, strict=True)]


def _are_boxes_and(scores: NativeTensor, parts: Any) -> bool:
    is_pair = isinstance(parts, (list, tuple)) and len(parts) == 2 and parts[1] is scores
    return is_pair and parts[0].ndim == scores.ndim == 3 and parts[0].shape[1] == 4


@final
class Attachment:
    """Gives those parts of a head that find each object once the head's inputs, with their gradients.

    Some versions detach what these parts read, so that they do not train the rest of the model, also in inference mode.
    """

    def __init__(self) -> None:
        self._thread = this_thread()
        self._levels: Sequence[NativeTensor] = ()

    def keep(self, _: Any, arguments: Any) -> None:
        """Keep the inputs of the head."""
        if this_thread() is self._thread and isinstance(arguments[0], (list, tuple)):
            self._levels = arguments[0]

    def attach(self, _: Any, arguments: Any) -> Any:
        """Return that input of the head whose values the input of a part has; None to leave it."""
        if this_thread() is not self._thread or len(arguments) != 1:
            return None
        attached = [level for level in self._levels if _is_detached(arguments[0], level)]
        return (attached[0],) if attached else None


@contextmanager
def attached(head: torch.nn.Module) -> Iterator[None]:
    """Let gradients pass from the one-to-one parts of a head to the rest of the model."""
    found = [part for name, part in head.named_children() if name.startswith(ONE_TO_ONE)]
    parts = [
        module for part in found for module in (part.children() if isinstance(part, torch.nn.ModuleList) else [part])
    ]
    attachment = Attachment()
    keep, attach = attachment.keep, attachment.attach  # the same objects again when they are removed

    def remove() -> None:
        remove_hook(head, keep)
        for part in parts:
            remove_hook(part, attach)

    with restoring(remove):
        if parts:
            head.register_forward_pre_hook(keep)
        for part in parts:
            part.register_forward_pre_hook(attach)
        yield


def _is_detached(given: Any, level: NativeTensor) -> bool:
    """Whether a tensor is another without its gradients."""
    if not isinstance(given, torch.Tensor) or given.requires_grad or not level.requires_grad:
        return False
    return bool(given.data_ptr() == level.data_ptr() and given.shape == level.shape)
