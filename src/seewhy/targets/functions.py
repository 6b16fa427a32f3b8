"""Targets that are functions of the caller: of one output, or of everything that the model returns."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from seewhy.errors import TargetError
from seewhy.targets.target import Shape, Target, TargetScores, no_class_indices
from seewhy.types import Namespace, Tensor


@final
@dataclass(frozen=True, repr=False)
class Function(Target):
    """A function of one output of the model.

    Attributes:
        function: Maps the output, a tensor (N, ...) of the model's framework, to scores (N,) or (N, T).

    Raises:
        TargetError: `function` is not callable, or, when the model runs, does not return such scores.
    """

    function: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        _check_callable(self)

    @property
    def key(self) -> Hashable:
        return (Function, _hashable(self.function))

    @property
    def target_count(self) -> None:
        return None

    def check_outputs(self, shape: Shape | None) -> None:
        """Accept any outputs: only the function knows what it reads."""

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        return _target_scores(self.function, outputs, xp)


@final
@dataclass(frozen=True, repr=False)
class AllOutputs(Target):
    """A function of everything that the model returns, such as the boxes and scores of a detector.

    No output of the model need be named. The outputs are passed as the model returns them: a final softmax or sigmoid
    is not bypassed.

    Attributes:
        function: Maps the model's tuple, list or dict of tensors to scores (N,) or (N, T).

    Raises:
        TargetError: `function` is not callable, or, when the model runs, does not return such scores.
    """

    function: Callable[[Any], Tensor]

    def __post_init__(self) -> None:
        _check_callable(self)

    @property
    def key(self) -> Hashable:
        return (AllOutputs, _hashable(self.function))

    @property
    def target_count(self) -> None:
        return None

    @property
    def reads_one_output(self) -> bool:
        return False

    @property
    def reads_all_outputs(self) -> bool:
        return True

    def check_outputs(self, shape: Shape | None) -> None:
        """Accept any outputs: only the function knows what it reads."""

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        return _target_scores(self.function, all_outputs, xp)


class _ByIdentity:
    """A hashable stand-in for an object that has no hash, such as an instance of a dataclass; it keeps it alive."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and other._value is self._value

    def __hash__(self) -> int:
        return id(self._value)


def _hashable(function: Any) -> Hashable:
    """Return the function, or a stand-in compared by identity if the function has no hash."""
    try:
        hash(function)
    except TypeError:
        return _ByIdentity(function)
    hashable: Hashable = function
    return hashable


def _check_callable(target: Function | AllOutputs) -> None:
    if not callable(target.function):
        raise TargetError(f"{type(target).__name__} takes a function of the outputs; given {target.function!r}.")


def _target_scores(function: Callable[[Any], Any], outputs: Any, xp: Namespace) -> TargetScores:
    """Return what the function returns for the outputs as scores (N, T), or raise TargetError."""
    empty = tuple(_empty_outputs(outputs))
    try:
        scores = function(outputs)
    except (IndexError, ValueError, RuntimeError) as error:
        if empty:  # such as the first of no boxes
            raise _nothing_found(empty, error) from error
        raise
    rank = len(getattr(scores, "shape", ()))
    if empty and rank in (1, 2) and 0 in scores.shape:
        raise _nothing_found(empty, f"it returned scores of shape {tuple(scores.shape)}")
    if rank not in (1, 2) or 0 in scores.shape:
        raise TargetError(f"The target function returned {scores!r}; expected scores of shape (N,) or (N, T).")
    if rank == 1:
        scores = scores[:, None]
    return TargetScores(scores, no_class_indices(scores, xp))


def _empty_outputs(outputs: Any, path: str = "") -> Iterator[str]:
    """Yield where the outputs hold an array without values, such as "[0]['boxes'] (0, 4)"."""
    if isinstance(outputs, Mapping):
        for name, value in outputs.items():
            yield from _empty_outputs(value, f"{path}[{name!r}]")
    elif isinstance(outputs, (list, tuple)):
        for position, value in enumerate(outputs):
            yield from _empty_outputs(value, f"{path}[{position}]")
    elif 0 in tuple(getattr(outputs, "shape", ())):
        yield f"{path or 'the output'} {tuple(outputs.shape)}"


def _nothing_found(empty: Sequence[str], reason: object) -> TargetError:
    kind = f"{type(reason).__name__}: " if isinstance(reason, Exception) else ""
    return TargetError(
        f"The model found nothing to explain: its outputs {', '.join(empty)} are empty, and the target function does "
        f"not allow for that ({kind}{reason}). Give an image in which the model finds something, or let it return "
        "detections of lower scores."
    )
