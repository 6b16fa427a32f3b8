"""Questions in the caller's own words: functions of the outputs."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

from seewhy.errors import TargetError
from seewhy.targets.target import Shape, Target, TargetScores, no_class_indices
from seewhy.types import Namespace, Tensor


@final
@dataclass(frozen=True)
class Function(Target):
    """A function of your own, of one output.

    Attributes:
        function: The outputs, a tensor of the model's framework, to scores (N,) or (N, T).
    """

    function: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        _check_callable(self)

    @property
    def key(self) -> Hashable:
        return (Function, _identity(self.function))

    @property
    def width(self) -> None:
        return None

    def check_outputs(self, shape: Shape | None) -> None:
        """Accept any outputs: the function knows what it reads."""

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        return _answer(self.function(outputs), xp)


@final
@dataclass(frozen=True)
class AllOutputs(Target):
    """A function of your own, of all that the model returned: the boxes and scores of a detector, say.

    A model with several outputs need not be told which is asked: the function takes what it wants. It is given them
    as the model returned them; no final softmax or sigmoid is seen through.

    Attributes:
        function: The tuple, list or dict that the model returned, of its framework's tensors, to scores (N,) or
            (N, T).
    """

    function: Callable[[Any], Tensor]

    def __post_init__(self) -> None:
        _check_callable(self)

    @property
    def key(self) -> Hashable:
        return (AllOutputs, _identity(self.function))

    @property
    def width(self) -> None:
        return None

    @property
    def reads_one_output(self) -> bool:
        return False

    @property
    def reads_all_outputs(self) -> bool:
        return True

    def check_outputs(self, shape: Shape | None) -> None:
        """Accept any outputs: the function knows what it reads."""

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        return _answer(self.function(whole), xp)


class _Itself:
    """Stands for something that has no hash, such as an instance of a dataclass; it keeps it alive."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other._thing is self._thing

    def __hash__(self) -> int:
        return id(self._thing)


def _identity(function: Any) -> Hashable:
    try:
        hash(function)
    except TypeError:
        return _Itself(function)
    identity: Hashable = function
    return identity


def _check_callable(target: Function | AllOutputs) -> None:
    if not callable(target.function):
        raise TargetError(f"{type(target).__name__} takes a function of the outputs; given {target.function!r}.")


def _answer(scores: Any, xp: Namespace) -> TargetScores:
    rank = len(getattr(scores, "shape", ()))
    if rank not in (1, 2) or 0 in scores.shape:
        raise TargetError(f"The target function gave {scores!r}; expected scores of shape (N,) or (N, T).")
    if rank == 1:
        scores = scores[:, None]
    return TargetScores(scores, no_class_indices(scores, xp))
