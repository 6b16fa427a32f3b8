"""Targets made of other targets: several for the same image, or one for each image."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import TargetError
from seewhy.targets.target import (
    ClassFinder,
    ClassNamer,
    ImageTransform,
    PromptTarget,
    Shape,
    Target,
    TargetScores,
    check_image_count,
    target_count_error,
)
from seewhy.types import IndexArray, Namespace, Tensor


@final
@dataclass(frozen=True, repr=False)
class Combined(Target):
    """Targets of different kinds, concatenated along T; nested ones are flattened.

    Attributes:
        parts: The targets, in order.

    Raises:
        TargetError: There are no parts, or a part is not a target for every image.
    """

    parts: tuple[Target, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.parts, (list, tuple)) or not self.parts:
            raise TargetError(f"Combined takes a tuple of targets; given {self.parts!r}.")
        for part in self.parts:
            if not isinstance(part, Target) or isinstance(part, PerImage):
                raise TargetError(f"Combined takes targets that apply to every image; given {part!r}.")
        flat = [inner for part in self.parts for inner in (part.parts if isinstance(part, Combined) else (part,))]
        object.__setattr__(self, "parts", tuple(flat))

    @property
    def key(self) -> Hashable:
        return (Combined, tuple(part.key for part in self.parts))

    @property
    def target_count(self) -> int | None:
        counts = [part.target_count for part in self.parts]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def is_classes(self) -> bool:
        return all(part.is_classes for part in self.parts)

    @property
    def reads_classes(self) -> bool:
        return any(part.reads_classes for part in self.parts)

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

    def slice_images(self, start: int, stop: int) -> "Combined":
        return Combined(tuple(part.slice_images(start, stop) for part in self.parts))

    def for_image(self, image: int) -> "Combined":
        return Combined(tuple(part.for_image(image) for part in self.parts))

    def with_classes(self, indices: IndexArray) -> "Combined":
        parts = zip(self.parts, self._columns(indices), strict=True)
        return Combined(tuple(part.with_classes(indices[:, columns]) for part, columns in parts))

    def transform(self, transform: ImageTransform) -> "Combined":
        return Combined(tuple(part.transform(transform) for part in self.parts))

    def resolve(self, find_class: ClassFinder) -> "Combined":
        return Combined(tuple(part.resolve(find_class) for part in self.parts))

    def with_prompts(self, prompt_target: PromptTarget) -> "Combined":
        return Combined(tuple(part.with_prompts(prompt_target) for part in self.parts))

    def for_one_unit(self) -> "Combined":
        return Combined(tuple(part.for_one_unit() for part in self.parts))

    def names(self, indices: IndexArray, class_name: ClassNamer) -> tuple[str, ...]:
        parts = zip(self.parts, self._columns(indices[None]), strict=True)
        return tuple(name for part, columns in parts for name in part.names(indices[columns], class_name))

    def check_images(self, count: int) -> None:
        for part in self.parts:
            part.check_images(count)

    def check_outputs(self, shape: Shape | None) -> None:
        for part in self.parts:
            part.check_outputs(shape)

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        remaining, scores, indices = list(arrays), [], []
        for position, part in enumerate(self.parts):
            result = part(outputs, remaining[: part.array_count], xp, all_outputs)
            del remaining[: part.array_count]
            scores.append(result.scores)
            # -1 becomes -2 - position, by which _columns finds the scores of this part.
            indices.append(result.indices - 1 - position if part.target_count is None else result.indices)
        return TargetScores(xp.concatenate(scores, axis=-1), xp.concatenate(indices, axis=-1))

    def _columns(self, indices: IndexArray) -> list[slice]:
        """Return the columns of (N, T) that belong to each part."""
        columns, start = [], 0
        for position, part in enumerate(self.parts):
            if part.target_count is None:
                stop = start + int(np.count_nonzero(indices[0, start:] == -2 - position))
            else:
                stop = start + part.target_count
            columns.append(slice(start, stop))
            start = stop
        return columns


@final
@dataclass(frozen=True, repr=False)
class PerImage(Target):
    """One target for each image, of any kinds.

    Every kind of target is computed for the whole batch, and each image's own scores are selected. So one compiled
    function serves any number of images, whichever kinds they have.

    Attributes:
        targets: One target for each image, all with the same number of targets T.

    Raises:
        TargetError: There are no targets, one is not a target for one image, or their numbers of targets differ.
    """

    targets: tuple[Target, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.targets, (list, tuple)) or not self.targets:
            raise TargetError(f"PerImage takes a tuple of targets, one for each image; given {self.targets!r}.")
        for target in self.targets:
            if not isinstance(target, Target) or isinstance(target, PerImage):
                raise TargetError(f"PerImage takes one target for each image; given {target!r}.")
        counts = {target.target_count for target in self.targets if target.target_count is not None}
        if len(counts) > 1:
            raise target_count_error(sorted(counts))

    @property
    def _kinds(self) -> dict[Hashable, Target]:
        """One target of each kind, by key, in an order that does not depend on the order of the images."""
        kinds = {target.key: target for target in self.targets}
        return {key: kinds[key] for key in sorted(kinds, key=repr)}

    @property
    def key(self) -> Hashable:
        return (PerImage, tuple(self._kinds))

    @property
    def target_count(self) -> int | None:
        return next((target.target_count for target in self.targets if target.target_count is not None), None)

    @property
    def is_classes(self) -> bool:
        return all(target.is_classes for target in self.targets)

    @property
    def reads_classes(self) -> bool:
        return any(target.reads_classes for target in self.targets)

    @property
    def reads_one_output(self) -> bool:
        return any(target.reads_one_output for target in self.targets)

    @property
    def reads_all_outputs(self) -> bool:
        return any(target.reads_all_outputs for target in self.targets)

    def arrays(self, count: int) -> tuple[NDArray[Any], ...]:
        """Return the position of each image's kind, (N, 1), and the arrays of every kind.

        In the arrays of a kind, the rows of images of other kinds are placeholders, which are not used.
        """
        kinds = self._kinds
        positions = {key: position for position, key in enumerate(kinds)}
        arrays = [np.array([[positions[target.key]] for target in self.targets], dtype=np.int32)]
        for key, placeholder in kinds.items():
            rows = [(target if target.key == key else placeholder).arrays(1) for target in self.targets]
            arrays += [np.concatenate(parts) for parts in zip(*rows, strict=True)]
        return tuple(arrays)

    @property
    def array_count(self) -> int:
        return 1 + sum(kind.array_count for kind in self._kinds.values())

    def slice_images(self, start: int, stop: int) -> "PerImage":
        return PerImage(self.targets[start:stop])

    def for_image(self, image: int) -> Target:
        return self.targets[image]

    def with_classes(self, indices: IndexArray) -> "PerImage":
        rows = zip(self.targets, indices, strict=True)
        return PerImage(tuple(target.with_classes(row[None]).for_image(0) for target, row in rows))

    def transform(self, transform: ImageTransform) -> "PerImage":
        return PerImage(tuple(target.transform(transform) for target in self.targets))

    def resolve(self, find_class: ClassFinder) -> "PerImage":
        return PerImage(tuple(target.resolve(find_class) for target in self.targets))

    def with_prompts(self, prompt_target: PromptTarget) -> "PerImage":
        return PerImage(tuple(target.with_prompts(prompt_target) for target in self.targets))

    def for_one_unit(self) -> "PerImage":
        return PerImage(tuple(target.for_one_unit() for target in self.targets))

    def check_images(self, count: int) -> None:
        check_image_count(len(self.targets), count)
        for target in self.targets:
            target.check_images(1)

    def check_outputs(self, shape: Shape | None) -> None:
        for target in self.targets:
            target.check_outputs(shape)

    def __call__(
        self, outputs: Tensor, arrays: Sequence[Tensor], xp: Namespace, all_outputs: Any = None
    ) -> TargetScores:
        kind_positions, remaining, results = arrays[0], list(arrays[1:]), []
        counts: set[Any] = set()
        for kind in self._kinds.values():
            results.append(kind(outputs, remaining[: kind.array_count], xp, all_outputs))
            del remaining[: kind.array_count]
            counts.add(results[-1].scores.shape[1] if kind.target_count is None else kind.target_count)
        counts.discard(None)  # the size of a compiled function's axis may be unknown
        if len(counts) > 1:
            raise target_count_error(sorted(counts))
        scores, indices = results[0]
        for position, result in enumerate(results[1:], start=1):
            scores = xp.where(kind_positions == position, result.scores, scores)
            indices = xp.where(kind_positions == position, result.indices, indices)
        return TargetScores(scores, indices)
