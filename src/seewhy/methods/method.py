"""The definition of a method: a function from a capture to raw heatmaps, and the data that describe it."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal, Protocol

from seewhy.errors import OptionError
from seewhy.interpolation import Extents
from seewhy.methods.checks import check_option
from seewhy.representation import description, value_text
from seewhy.types import AttentionCapture, Capture, Contrast, Derivatives, FloatArray, Fuse, GradientRule, Tensor

Family = Literal["gradient", "activation", "perturbation", "attention"]
"""What a method computes its heatmaps from."""

Level = Literal["layer", "input"]
"""Where the model is tapped: at the explained layer, or at the model's input."""

GRADIENT_AT_INPUT_PEAK = 0.995
"""The gradients of neighbouring pixels vary so much that, scaled to their maximum, most of a heatmap would be black."""


WritePerturbations = Callable[[range, FloatArray], None]
"""Writes the perturbations of these numbers into an array (M, *space, C), in the order of the numbers."""


class Runner(Protocol):
    """Runs the model on perturbations of one image, for that image's targets. All arrays are NumPy arrays.

    Perturbations are read in batches, as they are run, so a generator of thousands needs no more memory than one batch.
    """

    @property
    def inputs(self) -> FloatArray:
        """The preprocessed image, float32 (*space, C), channels last."""

    @property
    def layer_extents(self) -> Extents | None:
        """Where the layer's output begins and ends on the input, along each axis; None where it shows all of it."""

    def scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Return the scores (count, T) of `count` perturbations of the input, each (*space, C)."""

    def score_batches(self, write: WritePerturbations, count: int) -> Iterator[FloatArray]:
        """Yield the scores (M, T) of `count` perturbations of the input in batches, each when it is read.

        Args:
            write: Writes the perturbations of a batch, each (*space, C), into the array that it is given.
            count: How many perturbations there are; a method may read fewer.
        """

    def head_scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Return the scores (count, T) of `count` perturbations of the layer's activations, each (*space, K).

        Only the head is run; connections that bypass the layer keep the values they have for the image.
        """

    def captures(
        self,
        perturbations: Iterable[FloatArray],
        count: int,
        *,
        level: Level = "layer",
        gradient_rule: GradientRule = "plain",
    ) -> Iterable[Capture]:
        """Run `count` perturbations of the input, each (*space, C), and yield the capture (N = 1) of each."""


@dataclass(frozen=True, repr=False)
class Method:
    """A row of the table of methods.

    Attributes:
        name: The name that callers use.
        title: The name that figures show.
        paper: The paper's arXiv number, or where and when it was published.
        summary: What the method does, in one line.
        cost: What the method runs in addition to one forward pass, in a few words.
        function: Maps a capture to raw heatmaps (N, T, *space): positive where there is evidence for the target,
            negative where there is evidence against it. A function with a second parameter also takes a `Runner`; its
            capture has one image (N = 1) and NumPy arrays. In the family "attention" it maps an `AttentionCapture` to
            (N, T, L), over the image's tokens. Its keyword-only parameters are the method's options, whose annotations
            declare their checks, see `check_option`.
        family: What the heatmaps are computed from.
        level: Whether heatmaps have the resolution of the layer or of the input; "layer" for the family "attention",
            which explains all attention layers together, at the resolution of their tokens.
        gradient_rule: How gradients flow through the model.
        derivatives: What the capture contains: the gradients, or none where the method needs none, or takes them from
            the runner's captures.
        closed_form: Whether, with the default options, the raw heatmaps equal the sum over channels of activations
            times gradients wherever gradients are the same at every position.
        choose_gradient_rule: Returns the gradient rule for its keyword-only parameters, which are options of the method
            too; None if the rule is fixed.
        contrast: What is subtracted from the score of each class before it is differentiated; None if nothing is.
        choose_contrast: Returns the contrast for its keyword-only parameters, which are options of the method too; None
            if the method has no contrast.
        fuse: How the method fuses the heatmaps of several layers, if it always explains several; of one layer that is
            given, it fuses that and one at each finer resolution. None if it explains one layer.
    """

    name: str
    title: str
    paper: str
    summary: str
    cost: str
    function: Callable[..., Tensor]
    family: Family
    level: Level
    gradient_rule: GradientRule = "plain"
    derivatives: Derivatives = "gradients"
    closed_form: bool = False
    choose_gradient_rule: Callable[..., GradientRule] | None = None
    contrast: Contrast | None = None
    choose_contrast: Callable[..., Contrast] | None = None
    fuse: Fuse | None = None

    def __repr__(self) -> str:
        options = self.options_text and f"; {self.options_text}"
        return description(self, f"{self.name}: {self.title}, {self.paper}{options}")

    @property
    def has_closed_form(self) -> bool:
        """Whether the closed form equals the raw heatmaps with the options that are set."""
        defaults = _defaults(self.function)
        return self.closed_form and all(_is_same(value, defaults[name]) for name, value in self.options.items())

    @property
    def is_auto(self) -> bool:
        """Whether the method is chosen when the model runs."""
        return self.name == "auto"

    @property
    def averages_gradients(self) -> bool:
        """Whether the method, or a part of it, weights channels by their mean gradient, as Grad-CAM does."""
        return self.name in ("gradcam", "guided_gradcam") or self.options.get("base") == "gradcam"

    @cached_property
    def needs_runner(self) -> bool:
        """Whether the function takes a `Runner`, to run the model again."""
        return len(_parameters(self.function)) - len(_options(self.function)) > 1

    @property
    def perturbs_input(self) -> bool:
        """Whether the method runs the model on other inputs; guided Grad-CAM runs it again on the input itself."""
        return self.needs_runner and self.level == "input" and self.gradient_rule == "plain"

    @property
    def reads_layer(self) -> bool:
        """Whether the method, or a part of it, explains a layer."""
        return self.level == "layer" or self.averages_gradients

    @property
    def peak_quantile(self) -> float:
        """The quantile of a heatmap that is normalized to 1; 1.0 for its maximum."""
        return GRADIENT_AT_INPUT_PEAK if (self.family, self.level) == ("gradient", "input") else 1.0

    @property
    def options(self) -> dict[str, Any]:
        """The options of the method and their current values."""
        return _options(self.function) | _options(self.choose_gradient_rule) | _options(self.choose_contrast)

    @property
    def _annotations(self) -> dict[str, Any]:
        functions = (self.function, self.choose_gradient_rule, self.choose_contrast)
        return {name: each.annotation for function in functions for name, each in _parameters(function).items()}

    @property
    def options_text(self) -> str:
        """The options and their current values in one line: `masks=4000, grid=7`."""
        return ", ".join(f"{name}={value_text(value)}" for name, value in self.options.items())

    def with_options(self, options: Mapping[str, Any]) -> "Method":
        """Return the method with some of its options set; options that are set to their current values change nothing.

        Raises:
            OptionError: The method has no such option, or the option cannot have that value.
        """
        for name in options:
            if name not in self.options:
                listed = ", ".join(f"{option}={value!r}" for option, value in self.options.items()) or "none"
                raise OptionError(f"The method {self.name!r} has no option {name!r}. Its options: {listed}.")
        checked = {name: check_option(name, value, self._annotations[name]) for name, value in options.items()}
        changed = {name: value for name, value in checked.items() if not _is_same(value, self.options[name])}
        if not changed:
            return self
        method = replace(self, function=_with_options(self.function, changed))
        if self.choose_gradient_rule is not None:
            rule = _with_options(self.choose_gradient_rule, changed)
            method = replace(method, choose_gradient_rule=rule, gradient_rule=rule())
        if self.choose_contrast is not None:
            contrast = _with_options(self.choose_contrast, changed)
            method = replace(method, choose_contrast=contrast, contrast=contrast())
        return method

    def __call__(self, capture: Capture | AttentionCapture, *runner: Runner) -> Tensor:
        """Return raw heatmaps (N, T, *space) of a capture; the runner is given if `needs_runner`."""
        return self.function(capture, *runner)


def _parameters(function: Callable[..., Any] | None) -> dict[str, inspect.Parameter]:
    return {} if function is None else dict(inspect.signature(function).parameters)


def _options(function: Callable[..., Any] | None) -> dict[str, Any]:
    """Return a function's keyword-only parameters and their current values; none for None."""
    parameters = _parameters(function).values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function's keyword-only parameters and the values they have where none are set."""
    return _options(function.func if isinstance(function, partial) else function)


def _is_same(value: Any, current: Any) -> bool:
    """Return whether two values of an option are equal; only numbers, strings and None are compared."""
    return isinstance(current, (str, float, int, type(None))) and type(value) is type(current) and value == current


def _with_options(function: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function with those of the options set that are its own."""
    return partial(function, **{name: value for name, value in options.items() if name in _options(function)})
