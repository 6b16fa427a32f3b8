"""Reading the outputs of a detector: its detections, and the class logit that each was made of."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from seewhy.errors import ModelError, ModelRunError, TargetError
from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.detections import CLASS_LOGITS, DetectedBox
from seewhy.frameworks.torch.private_api import remove_hook
from seewhy.frameworks.torch.tensors import to_array
from seewhy.targets import Objective
from seewhy.types import NativeTensor


@dataclass(frozen=True)
class Found:
    """The detections of a batch, as tensors: a list with one for each image.

    Attributes:
        boxes: (D, 4), left, top, right and bottom in pixels of the model's input.
        labels: (D,), class indices.
        scores: (D,), in 0..1.
        class_logits: (candidates, columns) or (N, candidates, columns), of which the scores were made; they are read
            of one image alone.
        entries: (D, 2), the row and the column of each detection of the first image in its class logits; None where
            they have to be found by differentiating.
        activated: The sigmoid or softmax of the class logits, (candidates, 1) in any shape, by which they are found
            even where it is so close to 1 that its own gradient is 0; None to find them by the logits.
        calls: The inputs and the outputs of the sigmoids and softmaxes that scores were made by, if they are known.
        probabilities: (D, C), of every class, of the candidate of each detection, with 0 for the background; None
            where the model does not give them.
        objectness: (D,), how sure the model is that there is an object of any class; None where it does not say.
    """

    boxes: list[NativeTensor]
    labels: list[NativeTensor]
    scores: list[NativeTensor]
    class_logits: NativeTensor
    entries: NativeTensor | None = None
    activated: NativeTensor | None = None
    calls: Sequence[tuple[NativeTensor, NativeTensor]] = ()
    probabilities: list[NativeTensor] | None = None
    objectness: list[NativeTensor] | None = None

    def tree(self, *, reads_logits: bool) -> dict[str, NativeTensor]:
        """Return what a target reads: the class logits of one image, or the detections of all, padded with zeros."""
        if reads_logits:
            logits = self.class_logits
            return {CLASS_LOGITS: logits[None] if logits.ndim == 2 else logits}
        fields = ("boxes", "labels", "scores", "probabilities", "objectness")
        known = {name: getattr(self, name) for name in fields}
        return {name: _padded(rows) for name, rows in known.items() if rows is not None}


class Detector(ABC):
    """A kind of detector. Instances belong to one model."""

    logits_path: str | None = None
    """The module that computes the class logits, where the outputs do not contain them."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model

    @abstractmethod
    def read(self, outputs: Any, class_logits: NativeTensor | None, size: tuple[int, int]) -> Found:
        """Read the outputs of the model.

        Args:
            outputs: What the model returned.
            class_logits: What the module at `logits_path` returned.
            size: (h, w) of the model's input.
        """

    @contextmanager
    def recording(self, *, is_differentiated: bool = False) -> Iterator[list[NativeTensor]]:
        """Record the class logits in a list.

        Args:
            is_differentiated: The rest of the model reads a copy of which gradients are recorded.
        """
        recorded: list[NativeTensor] = []

        def record(_: Any, __: Any, output: Any) -> Any:
            is_pair = isinstance(output, tuple)  # of class logits and box regressions
            logits = output[0] if is_pair else output
            if is_differentiated:
                torch.set_grad_enabled(True)
                logits = logits.detach().requires_grad_()
            recorded.append(logits)
            return (logits, *output[1:]) if is_pair else logits

        if self.logits_path is None:
            yield recorded
            return
        module = self._model.get_submodule(self.logits_path)
        with restoring(lambda: remove_hook(module, record)):
            module.register_forward_hook(record)
            yield recorded


def check_scores_detections(objective: Objective) -> None:
    """Raise an error for class scores of a detector, where something other than its detections is requested."""
    if objective.output is not None or objective.target.reads_detections or not objective.target.reads_one_output:
        return
    if not objective.target.is_classes:
        raise TargetError(
            f"{type(objective.target).__name__} reads one output, and the model is a detector: it returns boxes with "
            "classes and scores. Give classes or a seewhy.targets.Detection; or name the output with output=...; or "
            "give seewhy.targets.AllOutputs with a function of everything that the model returns."
        )
    raise ModelError(
        "The model is a detector: it returns boxes, and no score for each class of the image. Explain its "
        "detections, with explain, stream or heatmaps of an Explainer, or with 'seewhy explain' and 'seewhy "
        "batch'. What needs class scores, as metrics, inspect and exports do, takes a torch.nn.Module around it "
        "that returns them."
    )


def find_detections(found: Found) -> tuple[DetectedBox, ...]:
    """Return the detections of the first image, the surest first."""
    boxes, labels, scores = (values[0].detach().cpu().tolist() for values in (found.boxes, found.labels, found.scores))
    of_classes = [None] * len(labels) if found.probabilities is None else to_array(found.probabilities[0])
    detections = [
        DetectedBox((box[0], box[1], box[2], box[3]), int(label), float(score), number, probabilities)
        for number, (box, label, score, probabilities) in enumerate(zip(boxes, labels, scores, of_classes, strict=True))
    ]
    return tuple(sorted(detections, key=lambda detection: -detection.score))


def find_entries(found: Found, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the row and the column in the class logits of some detections of the first image.

    A detector suppresses most of its candidates, and does not tell which of them a detection was. It is the candidate
    by whose logits the score of the detection changes.

    Args:
        found: With `entries`, or with scores that were computed from differentiable class logits.
        numbers: Positions among the model's detections.
    """
    if found.entries is not None:
        return [(int(row), int(column)) for row, column in found.entries[list(numbers)].tolist()]
    entries = []
    for number in numbers:
        source = found.class_logits if found.activated is None else found.activated
        (gradients,) = torch.autograd.grad(found.scores[0][number], source, retain_graph=True)
        gradients = gradients.flatten(0, -2) if found.activated is None else gradients.reshape(-1, 1)
        rows = torch.nonzero(_are_used(gradients).any(dim=1)).flatten().tolist() or _rows_of_calls(found, number)
        if len(rows) != 1:
            raise ModelRunError(
                f"The score of a detection depends on the class logits of {len(rows)} candidates of the detector, and "
                "should depend on those of one: which logit to explain cannot be told. Explain the model with a "
                "perturbation method, such as rise, or give a function of the outputs."
            )
        entries.append((rows[0], 0 if found.activated is not None else int(found.labels[0][number])))
    return entries


def _are_used(gradients: NativeTensor) -> NativeTensor:
    """Return which entries a score depends on. A root at 0, as of another candidate of FCOS, has the gradient NaN."""
    return (gradients != 0) & gradients.isfinite()


def _rows_of_calls(found: Found, number: int) -> list[int]:
    """Return the rows of the class logits from which the sigmoid or softmax of a detection's score was computed.

    A score that is 1, as rounded, does not change with the logits. It does with the activated value that it is; and
    what was activated is an entry of the logits.
    """
    rows = set()
    for given, result in found.calls:
        if not (result.requires_grad and given.requires_grad):
            continue
        (gradients,) = torch.autograd.grad(found.scores[0][number], result, retain_graph=True, allow_unused=True)
        if gradients is None or not _are_used(gradients).any():
            continue
        entry = given.flatten()[_are_used(gradients).flatten().nonzero()[0]].sum()
        (of_logits,) = torch.autograd.grad(entry, found.class_logits, retain_graph=True, allow_unused=True)
        if of_logits is not None:
            rows |= set(torch.nonzero(of_logits.flatten(0, -2).any(dim=1)).flatten().tolist())
    return sorted(rows)


def _padded(rows: Sequence[NativeTensor]) -> NativeTensor:
    """Stack tensors of different lengths, with at least one row of zeros."""
    padding = rows[0].new_zeros(1, *rows[0].shape[1:])
    return torch.nn.utils.rnn.pad_sequence([torch.cat([row, padding]) for row in rows], batch_first=True)
