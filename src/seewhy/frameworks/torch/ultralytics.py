"""What a model of Ultralytics, such as a YOLO, declares itself. Nothing of ultralytics is imported."""

from collections.abc import Mapping
from typing import Any

from seewhy.errors import ModelError
from seewhy.frameworks.declared_input import DeclaredInput

TASKS = "ultralytics.nn.tasks"

DEFAULT_SIDE = {"ClassificationModel": 224}
"""The side of the input of models that declare none; of all others 640."""

UNSUPPORTED = {
    "OBBModel": "finds rotated boxes, which have no place among upright ones",
    "DepthModel": "predicts depths",
    "WorldModel": "is told its classes as text",
    "YOLOEModel": "is told its classes as text or as boxes",
}
"""What other models do; those that inherit from them, too."""


def inner_model(model: Any) -> Any:
    """Return the module that a `ultralytics.YOLO` object holds; None for any other object.

    Raises:
        ModelError: The object runs an exported file, which has no module.
    """
    if not _has_base(model, "ultralytics.engine.model", "Model"):
        return None
    inner = getattr(model, "model", None)
    if isinstance(inner, str) or inner is None:
        raise ModelError(
            f"This {type(model).__name__} object runs the exported file {inner!r}, whose layers cannot be reached. "
            "Load the .pt or .yaml that it was exported from; or give an .onnx file to seewhy.load."
        )
    return inner


def is_detector(model: Any) -> bool:
    """Whether a module is a YOLO, or another model of ultralytics that finds boxes.

    Raises:
        ModelError: It is one whose outputs cannot be read.
    """
    problem = next((why for name, why in UNSUPPORTED.items() if _has_base(model, TASKS, name)), None)
    if problem is not None:
        raise ModelError(
            f"{type(model).__name__} {problem}, and cannot be explained as a detector. Give a detector, a segmenter or "
            "a classifier of ultralytics; or wrap the model in a torch.nn.Module that returns scores, or a list with a "
            "dict of boxes, labels and scores for each image."
        )
    return _has_base(model, TASKS, "DetectionModel")


def is_rt_detr(model: Any) -> bool:
    """Whether a module is an RT-DETR of ultralytics."""
    return _has_base(model, TASKS, "RTDETRDetectionModel")


def returns_pair(model: Any) -> bool:
    """Whether a module returns probabilities and, beside them, the logits that they were computed from."""
    return _has_base(model, TASKS, "ClassificationModel")


def declared_input(model: Any) -> DeclaredInput | None:
    """Return how images become the model's input; None for a model that is not of ultralytics."""
    if not _has_base(model, TASKS, "BaseModel"):
        return None
    given = _setting(model, "imgsz") if getattr(model, "task", None) != "classify" else None
    sides = (given, given) if isinstance(given, int) else given
    is_pair = isinstance(sides, (list, tuple)) and len(sides) == 2 and all(type(side) is int for side in sides)
    side = DEFAULT_SIDE.get(type(model).__name__, 640)
    size = (sides[0], sides[1]) if is_pair and sides is not None else (side, side)
    return DeclaredInput(size, "centre" if returns_pair(model) else "letterbox" if not is_rt_detr(model) else "whole")


def declared_labels(model: Any) -> Mapping[Any, Any] | None:
    """Return the names of the classes by index; None where they are the indices themselves, or there are none."""
    names = getattr(model, "names", None) if _has_base(model, TASKS, "BaseModel") else None
    if not isinstance(names, Mapping) or all(str(index) == str(name) for index, name in names.items()):
        return None
    return names


def _setting(model: Any, name: str) -> Any:
    """Return one of the arguments with which a model was trained."""
    arguments = getattr(model, "args", None)
    return arguments.get(name) if isinstance(arguments, Mapping) else getattr(arguments, name, None)


def _has_base(model: Any, module: str, name: str) -> bool:
    return any(base.__module__ == module and base.__name__ == name for base in type(model).__mro__)
