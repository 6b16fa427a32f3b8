"""Cheap signs of whether one heatmap can be trusted, in words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from PIL import Image, ImageFilter

from seewhy import methods as all_methods
from seewhy.errors import OptionError, TargetError, short_repr
from seewhy.evaluate.model_scores import ModelLike, running_model
from seewhy.explainer import BATCH_SIZE, Explainer
from seewhy.representation import ShortRepr, ShortTuple
from seewhy.results.explanation import Explanation
from seewhy.results.target_result import TargetRef
from seewhy.types import BoolArray, FloatArray

CheckProgress = Callable[[int, int], None]

SHARE = 0.15
"""The share of the pixels that is covered: the brightest ones, and as many elsewhere."""

DRAWS = 8
"""How many other places are covered."""

BLUR = 1 / 12
"""The standard deviation of the blur that covers pixels, as a share of the image's longer side."""

SAME, OTHER = 0.8, 0.5
"""The share of common pixels from which two maps are called almost the same, and below which they are different."""

MAX_DECIMALS = 8
"""The number of decimals of a score, at most."""

NOT_CHECKED = "Not checked: only the map of a class of a classifier can be."
"""What is said of a target that is a value of a regression, or a region of a segmentation."""

TRIES = 20
"""How many random places are tried for each one that is used."""


@final
@dataclass(frozen=True, repr=False)
class Check(ShortRepr):
    """What the cheap signs say of one heatmap.

    Attributes:
        name: The class that is explained.
        score: Of this class, for the image as it is: what the explainer explains, a logit or a probability.
        covered: The same with the brightest pixels covered; None for a map without evidence.
        elsewhere: The same with as many pixels covered at other places, one for each draw.
        other_name: The most probable other class; empty if there is none.
        overlap: The share of the brightest pixels that the maps of both classes have in common; None without one.
        share: The share of the pixels that is covered.
    """

    name: str
    score: float
    covered: float | None
    elsewhere: tuple[float, ...]
    other_name: str
    overlap: float | None
    share: float

    @property
    def is_faithful(self) -> bool:
        """Whether the score falls more when the brightest pixels are covered than at any other place."""
        return self.covered is not None and self.covered < min([self.score, *self.elsewhere])

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the signs say, in one or two sentences."""
        return (self._faithfulness(), *self._specificity())

    @property
    def line(self) -> str:
        """The sentences in one line."""
        return " ".join(self.sentences)

    def _faithfulness(self) -> str:
        if self.covered is None:
            return "The map shows no evidence, so there is nothing to cover."
        scores = (self.score, self.covered, min(self.elsewhere), max(self.elsewhere))
        before, covered, lowest, highest = (f"{score:.{_decimals(scores)}f}" for score in scores)
        text = (
            f"With the brightest {self.share:.0%} of the image blurred, the score of {self.name} goes from {before} to "
            f"{covered}; with the same shape at {len(self.elsewhere)} other places, to between {lowest} and {highest}."
        )
        if self.is_faithful:
            return f"{text} The bright pixels matter more than others: this supports the map."
        if self.covered < min(self.score, float(np.median(self.elsewhere))):
            return f"{text} It falls more than at most other places, but not more than at all: this supports it weakly."
        return f"{text} It falls no more than elsewhere: this does not support the map."

    def _specificity(self) -> tuple[str, ...]:
        if self.overlap is None:
            return ()
        text = f"{self.overlap:.0%} of its brightest pixels are also those of the map for {self.other_name}"
        if self.overlap >= SAME:
            return (f"{text}: the map hardly says what is special about this class.",)
        return (f"{text}: the map is {'its own' if self.overlap < OTHER else 'partly its own'}.",)


def _decimals(scores: Sequence[float]) -> int:
    """Return the number of decimals, 2 or more, that show two digits of how far scores are apart."""
    spread = max(scores) - min(scores)
    return 2 if not spread > 0 else min(max(2, 1 - math.floor(math.log10(spread))), MAX_DECIMALS)


def check(
    explainer: ModelLike,
    explanation: Explanation,
    target: TargetRef = 0,
    *,
    share: float = SHARE,
    draws: int = DRAWS,
    seed: int = 0,
    explain_other: bool = True,
) -> Check:
    """Check one heatmap: does the score fall when its bright pixels are covered, and is it that of another class too?

    The brightest pixels are blurred, and so is the same shape, moved to random other places, some of which may be cut
    by the image's edge and go on at the opposite one. It costs `draws` + 2 forward passes, and one explanation of the
    most probable other class, unless the explanation has it.

    One image is an anecdote: `study` measures many, with intervals.

    Args:
        explainer: The explainer that made the explanation; or a classifier, for one by another tool.
        explanation: The explanation; `explanation_of_map` makes one of another tool's map.
        target: Its target: a position or a name.
        share: The share of the pixels that is covered, in 0..1.
        draws: The number of other places, 1 or more.
        seed: Determines these places.
        explain_other: Whether the other class is explained for the comparison if the explanation does not have it, and
            was made by this explainer's method.

    Returns:
        The check: numbers, and `sentences`.

    Raises:
        OptionError: An argument is out of range.
        TargetError: The target is not a class.
    """
    if not 0 < share <= 0.5:
        raise OptionError(f"share is {short_repr(share)}; expected a number above 0, up to 0.5.")
    if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
        raise OptionError(f"draws is {short_repr(draws)}; expected a whole number from 1.")
    if not isinstance(explanation, Explanation):
        raise OptionError(
            f"Only an explanation can be checked; given a {type(explanation).__name__}. Of another tool's map, make "
            "one: seewhy.evaluate.explanation_of_map(classifier, image, heatmap, target)."
        )
    position = explanation.find_target(target)
    result = explanation.targets[position]
    if result.index < 0 or not explanation.predictions:
        raise TargetError(f"The target {result.name!r} is not a class, and only maps of classes can be checked.")
    bright = _brightest(explanation, position, share)
    score, *covered = _scores(explainer, explanation, result.index, bright, draws, seed)
    other_name, overlap = _compare_with_other(
        _maker(explainer, explanation) if explain_other else None, explanation, position, bright, share
    )
    is_covered = bool(bright.any())
    return Check(
        name=result.name,
        score=score,
        covered=covered[0] if is_covered else None,
        elsewhere=tuple(covered[1:]),
        other_name=other_name,
        overlap=overlap,
        share=share,
    )


def with_checks(explainer: Explainer, explanation: Explanation, progress: CheckProgress | None = None) -> Explanation:
    """Return an explanation with a line about each target, which reports show; targets that are no classes say so.

    Args:
        explainer: The explainer that made it.
        explanation: The explanation.
        progress: Called before each target with the number that are done, and their total; it may raise.
    """
    targets = []
    method = all_methods.get(explanation.method)
    for position, target in enumerate(explanation.targets):
        if progress is not None:
            progress(position, len(explanation.targets))
        is_class = target.index >= 0 and bool(explanation.predictions)
        # Another explanation by a method that runs the model thousands of times costs more than a sign is worth.
        checked = check(explainer, explanation, position, explain_other=not method.needs_runner) if is_class else None
        targets.append(replace(target, check=NOT_CHECKED if checked is None else checked.line))
    return replace(explanation, targets=ShortTuple(targets))


def check_forwards(targets: int, draws: int = DRAWS) -> int:
    """Return how often the model runs for the checks of an explanation with this number of targets, at most."""
    return targets * (draws + 3)


def _brightest(explanation: Explanation, position: int, share: float) -> BoolArray:
    """Return the brightest pixels (H, W) that the model saw, at most this share of them, all with evidence."""
    heatmap: FloatArray = explanation.normalized_heatmap(position)
    seen = explanation.placement.covered
    count = max(1, round(share * seen.sum()))
    values = np.sort(heatmap[seen])[::-1]
    threshold = values[min(count, len(values)) - 1]
    bright = heatmap > threshold
    # Of pixels that are as bright as the last one, no more than there is room for: a map may have large flat regions.
    equal = np.flatnonzero(((heatmap == threshold) & (heatmap > 0) & seen).ravel())
    bright.ravel()[equal[: count - int(bright.sum())]] = True
    return np.asarray(bright)


def _scores(
    explainer: ModelLike, explanation: Explanation, index: int, bright: BoolArray, draws: int, seed: int
) -> list[float]:
    """Return the score of a class for the image, with its bright pixels covered, and with others covered."""
    pixels = explanation.image
    images = [pixels]
    if bright.any():
        radius = max(pixels.shape[:2]) * BLUR
        blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))
        masks = [bright, *_other_places(bright, explanation.placement.covered, draws, seed)]
        images += [np.where(mask[:, :, None], blurred, pixels) for mask in masks]
    score = explainer.score if isinstance(explainer, Explainer) else "logit"
    model = running_model(explainer, score=score, batch_size=BATCH_SIZE)
    scores: list[float] = []
    for start in range(0, len(images), BATCH_SIZE):
        inputs = model.inputs(images[start : start + BATCH_SIZE])
        scores += model.scores(inputs, model.objective([index]))[0][:, 0].tolist()
    return scores


def _maker(explainer: ModelLike, explanation: Explanation) -> Explainer | None:
    """Return the explainer if it made the explanation: the maps of two tools do not compare."""
    if not isinstance(explainer, Explainer):
        return None
    is_auto = explainer.method.name == "auto" and explanation.method in all_methods.METHODS
    return explainer if is_auto or explainer.method.name == explanation.method else None


def _other_places(bright: BoolArray, seen: BoolArray, draws: int, seed: int) -> list[BoolArray]:
    """Return the bright region moved within the part of the image that the model saw, with little in common with it."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    region, random = bright[window], np.random.default_rng(seed)
    tried = []
    for _ in range(TRIES * draws):
        shift = (int(random.integers(region.shape[0])), int(random.integers(region.shape[1])))
        moved = np.roll(region, shift, axis=(0, 1))
        tried.append((int((moved & region).sum()), shift))
        if sum(common <= region.sum() / 4 for common, _ in tried) == draws:
            break
    places = []
    for _, shift in sorted(tried)[:draws]:
        mask = np.zeros_like(bright)
        mask[window] = np.roll(region, shift, axis=(0, 1))
        places.append(mask)
    return places


def _compare_with_other(
    explainer: Explainer | None, explanation: Explanation, position: int, bright: BoolArray, share: float
) -> tuple[str, float | None]:
    """Return the most probable other class, and the share of bright pixels that its map has in common."""
    index = explanation.targets[position].index
    other = next((each for each in explanation.predictions if each.index != index), None)
    if other is None or not bright.any():
        return "", None
    known = [number for number, target in enumerate(explanation.targets) if target.index == other.index]
    if not known and explainer is None:
        return "", None
    if known:
        other_bright = _brightest(explanation, known[0], share)
    elif explainer is not None:
        (explained,) = explainer.explain([explanation.image], [other.index])
        other_bright = _brightest(explained, 0, share)
    if not other_bright.any():
        return other.name, 0.0
    common = int((bright & other_bright).sum())
    return other.name, common / min(int(bright.sum()), int(other_bright.sum()))
