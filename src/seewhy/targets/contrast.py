"""Scores of classes in contrast to the classes that are most similar to them."""

from seewhy.errors import TargetError
from seewhy.targets.dense import Region
from seewhy.targets.target import Target, TargetScores
from seewhy.types import Contrast, Namespace, Tensor


def check_contrast(target: Target) -> None:
    """Raise TargetError unless all of a target's scores are those of classes."""
    if not target.is_classes:
        raise TargetError(
            f"The method compares classes with similar ones, and {_what(target)} is not a class. Give classes, such as "
            "'top-1', or use a method that does not compare, such as gradcam."
        )


def contrasted(result: TargetScores, outputs: Tensor, contrast: Contrast, xp: Namespace) -> TargetScores:
    """Subtract from the score of each class `alpha` times the mean score of the most similar classes.

    The most similar classes are those whose scores are closest to that of the class. Which they are is not
    differentiated; their scores are.

    Args:
        result: The scores of classes (N, T), and the classes.
        outputs: The scores of all classes (N, C).
        contrast: How many classes are compared, and how strongly.
        xp: The array namespace of the tensors.

    Raises:
        TargetError: The model has one class only.
    """
    nearest, is_compared = similar_classes(result, outputs, contrast, xp)
    values = xp.take_along_axis(outputs[:, None] + xp.zeros_like(result.scores[..., None]), nearest, axis=-1)
    total = xp.sum(xp.where(is_compared, values, xp.zeros_like(values)), axis=-1)
    return TargetScores(result.scores - contrast.alpha * total / (nearest.shape[-1] - 1), result.indices)


def similar_classes(result: TargetScores, outputs: Tensor, contrast: Contrast, xp: Namespace) -> tuple[Tensor, Tensor]:
    """Return the classes most similar to each, and which of them it is compared with; the arguments are as above.

    Returns:
        The classes (N, T, similar + 1), the most similar first, and whether each is one of those that are compared: not
        the class itself, which is among them but for ties, nor else the last.

    Raises:
        TargetError: The model has one class only.
    """
    classes = outputs.shape[-1]
    if classes < 2:
        raise TargetError(
            "The method compares a class with similar ones, and the model has one class only. Use a method that does "
            "not compare, such as gradcam."
        )
    similar = min(contrast.similar, classes - 1)
    distances = xp.abs(outputs[:, None] - result.scores[..., None])  # (N, T, C)
    nearest = xp.argsort(distances, axis=-1)[..., : similar + 1]
    is_itself = nearest[..., :similar] == result.indices[..., None]
    takes_last = xp.any(is_itself, axis=-1, keepdims=True)
    return nearest, xp.concatenate([is_itself == xp.zeros_like(is_itself), takes_last], axis=-1)


def _what(target: Target) -> str:
    if target.reads_detections:
        return "a detection of a detector"
    return "a region of a segmentation" if isinstance(target, Region) else repr(target)
