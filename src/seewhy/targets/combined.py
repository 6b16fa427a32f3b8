"""Several questions at once: of the same image, or of each image its own."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.targets.classes import check_rows
from seewhy.targets.target import ClassFinder, ClassNamer, Shape, Target, TargetScores, Transform
from seewhy.types import IndexArray, Namespace, Tensor


@final
@dataclass(frozen=True)
class Combined(Target):
    """Targets of different kinds, one after another."""

    parts: tuple[Target, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, (list, tuple)) or not self.parts:
            raise TargetError(f"Combined takes a tuple of targets; given {self.parts!r}.")
        for part in self.parts:
            if not isinstance(part, Target) or isinstance(part, PerImage):
                raise TargetError(f"Combined takes targets that are asked of every image; given {part!r}.")
        flat = [each for part in self.parts for each in (part.parts if isinstance(part, Combined) else (part,))]
        object.__setattr__(self, "parts", tuple(flat))

    @property
    def key(self) -> Hashable:
        return (Combined, tuple(part.key for part in self.parts))

    @property
    def width(self) -> int | None:
        widths = [part.width for part in self.parts]
        return None if None in widths else sum(width for width in widths if width is not None)

    @property
    def reads_one_output(self) -> bool:
        return any(part.reads_one_output for part in self.parts)

    @property
    def reads_all_outputs(self) -> bool:
        return any(part.reads_all_outputs for part in self.parts)

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        return tuple(array for part in self.parts for array in part.arrays(count))

    @property
    def array_count(self) -> int:
        return sum(part.array_count for part in self.parts)

    def rows(self, start: int, stop: int) -> "Combined":
        return Combined(tuple(part.rows(start, stop) for part in self.parts))

    def for_image(self, image: int) -> "Combined":
        return Combined(tuple(part.for_image(image) for part in self.parts))

    def with_classes(self, indices: IndexArray) -> "Combined":
        columns = self._columns(indices)
        return Combined(
            tuple(part.with_classes(indices[:, each]) for part, each in zip(self.parts, columns, strict=True))
        )

    def transformed(self, transform: Transform) -> "Combined":
        return Combined(tuple(part.transformed(transform) for part in self.parts))

    def resolved(self, find: ClassFinder) -> "Combined":
        return Combined(tuple(part.resolved(find) for part in self.parts))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        columns = self._columns(indices[None])
        parts = zip(self.parts, columns, strict=True)
        return tuple(name for part, each in parts for name in part.names(indices[each], class_name))

    def check_images(self, count: int) -> None:
        for part in self.parts:
            part.check_images(count)

    def check_outputs(self, shape: Shape | None) -> None:
        for part in self.parts:
            part.check_outputs(shape)

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        left, scores, indices = list(arrays), [], []
        for position, part in enumerate(self.parts):
            answer = part(outputs, left[: part.array_count], xp, whole)
            del left[: part.array_count]
            scores.append(answer.scores)
            indices.append(answer.indices - 1 - position if part.width is None else answer.indices)
        return TargetScores(xp.concatenate(scores, axis=-1), xp.concatenate(indices, axis=-1))

    def _columns(self, indices: IndexArray) -> list[slice]:
        """Return which of the targets (N, T) are each part's."""
        columns, start = [], 0
        for position, part in enumerate(self.parts):
            if part.width is None:  # the part's own number says how far it goes
                stop = start + int(np.count_nonzero(indices[0, start:] == -2 - position))
            else:
                stop = start + part.width
            columns.append(slice(start, stop))
            start = stop
        return columns


@final
@dataclass(frozen=True)
class PerImage(Target):
    """A target for each image, of whatever kinds.

    Each kind is asked of the whole batch, and of the answers each image keeps its own: so a compiled step is good for
    any number of images, and whichever of them is asked what.
    """

    targets: tuple[Target, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.targets, (list, tuple)) or not self.targets:
            raise TargetError(f"PerImage takes a tuple of targets, one for each image; given {self.targets!r}.")
        for target in self.targets:
            if not isinstance(target, Target) or isinstance(target, PerImage):
                raise TargetError(f"PerImage takes one target for each image; given {target!r}.")
        widths = {target.width for target in self.targets} - {None}
        if len(widths) > 1:
            _refuse_widths(widths)

    @property
    def _kinds(self) -> dict[Hashable, Target]:
        """One target of each kind, in an order that does not depend on the images'."""
        kinds = {target.key: target for target in self.targets}
        return {key: kinds[key] for key in sorted(kinds, key=repr)}

    @property
    def key(self) -> Hashable:
        return (PerImage, tuple(self._kinds))

    @property
    def width(self) -> int | None:
        return next((target.width for target in self.targets if target.width is not None), None)

    @property
    def reads_one_output(self) -> bool:
        return any(target.reads_one_output for target in self.targets)

    @property
    def reads_all_outputs(self) -> bool:
        return any(target.reads_all_outputs for target in self.targets)

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        """Return which kind each image is asked, (N, 1), and the arrays of every kind.

        An image that is asked something else has those of some image that is asked this: they are not used.
        """
        kinds = self._kinds
        positions = {key: position for position, key in enumerate(kinds)}
        which = np.array([[positions[target.key]] for target in self.targets], dtype=np.int32)
        arrays = [which]
        for key, some in kinds.items():
            each = [(target if target.key == key else some).arrays(1) for target in self.targets]
            arrays += [np.concatenate(parts) for parts in zip(*each, strict=True)]
        return tuple(arrays)

    @property
    def array_count(self) -> int:
        return 1 + sum(kind.array_count for kind in self._kinds.values())

    def rows(self, start: int, stop: int) -> "PerImage":
        return PerImage(self.targets[start:stop])

    def for_image(self, image: int) -> Target:
        return self.targets[image]

    def with_classes(self, indices: IndexArray) -> "PerImage":
        each = zip(self.targets, indices, strict=True)
        return PerImage(tuple(target.with_classes(own[None]).for_image(0) for target, own in each))

    def transformed(self, transform: Transform) -> "PerImage":
        return PerImage(tuple(target.transformed(transform) for target in self.targets))

    def resolved(self, find: ClassFinder) -> "PerImage":
        return PerImage(tuple(target.resolved(find) for target in self.targets))

    def check_images(self, count: int) -> None:
        check_rows(len(self.targets), count)
        for target in self.targets:
            target.check_images(1)

    def check_outputs(self, shape: Shape | None) -> None:
        for target in self.targets:
            target.check_outputs(shape)

    def __call__(self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, whole: Any = None) -> TargetScores:
        which, left, answers = arrays[0], list(arrays[1:]), []
        widths: set[int | None] = set()
        for kind in self._kinds.values():
            answers.append(kind(outputs, left[: kind.array_count], xp, whole))
            del left[: kind.array_count]
            widths.add(answers[-1].scores.shape[1] if kind.width is None else kind.width)
        widths.discard(None)  # compiled for any
        if len(widths) > 1:
            _refuse_widths(widths)
        scores, indices = answers[0]
        for position, answer in enumerate(answers[1:], start=1):
            scores = xp.where(which == position, answer.scores, scores)
            indices = xp.where(which == position, answer.indices, indices)
        return TargetScores(scores, indices)


def _refuse_widths(widths: set[Any]) -> None:
    raise TargetError(f"Every image needs the same number of targets, at least one; given {sorted(widths)}.")
