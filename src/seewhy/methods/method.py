"""What a method is: a function from what was captured to heatmaps, and what that function needs."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol

from seewhy.types import Capture, FloatArray, Tensor

Level = Literal["layer", "input"]
"""Where the model is tapped: at the layer that is explained, or at its own input."""


Backward = Any


class Runner(Protocol):
    """The model, and the question of one image, to be asked of perturbations of that image. All arrays are NumPy's.

    Perturbations are taken a few at a time, as they come, so a generator of thousands needs no more memory than those few.
    """

    @property
    def inputs(self) -> FloatArray:
        """float32 (*space, C), the image as the model is given it, channels last."""

    def scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the input, each (*space, C), giving (count, T)."""

    def head_scores(self, perturbations: Iterable[FloatArray], count: int) -> FloatArray:
        """Score `count` perturbations of the layer's activations, each (*space, K), giving (count, T).

        Only what follows the layer is run; what passes by it stays what it was.
        """

    def captures(
        self, perturbations: Iterable[FloatArray], count: int, *, level: Level = "layer", backward: Backward = "plain"
    ) -> Iterable[Capture]:
        """Run `count` perturbations of the input, each (*space, C), and yield what each left, as captures of N = 1."""


@dataclass(frozen=True)
class Method:
    """A row of the table.

    Attributes:
        name: What a caller says.
        title: What a figure says.
        paper: Where it comes from: its number on arXiv, or where and when it appeared.
        summary: What it does, in a line.
        cost: What it runs, beyond the one forward pass, in a few words.
        function: A capture to evidence (N, T, *space): what speaks for the target is positive, what speaks against it
            negative. Of a method that runs the model again: a capture of one image, of NumPy arrays, and `Runner`.
        at: Where the model is tapped.
        backward: How the gradients are taken.
        reruns: Whether the function runs the model again.
        pixels: Whether it shows the gradients of single pixels, which vary wildly from each to the next.
        sums_products: Whether the evidence is the sum over channels of activations times gradients, wherever a gradient
            is the same at every position; options may change that.
        choose_backward: Chooses how the gradients are taken, where that is an option; its options are the method's too.
    """

    name: str
    title: str
    paper: str
    summary: str
    cost: str
    function: Callable[..., Tensor]
    level: Level = "layer"
    backward: Backward = "plain"
    reruns: bool = False
    pixels: bool = False
    has_closed_form: bool = False
    choose_gradient_rule: Callable[..., Backward] | None = None

    @property
    def family(self) -> str:
        """What its evidence comes from."""
        if self.pixels:
            return "from gradients of the input"
        if self.backward == "none":
            return "by running the model again" if self.reruns else "from activations"
        return "from activations and gradients"

    @property
    def gradient_rule(self) -> Any:
        return self.backward if self.backward in ("guided", "guided-where-relu") else "plain"

    @property
    def derivatives(self) -> Any:
        return "none" if self.backward == "none" else "gradients"

    @property
    def needs_runner(self) -> bool:
        return self.reruns

    @property
    def peak_quantile(self) -> float:
        """Which quantile of a map is drawn as its full value: by the highest pixel, the others would not be seen."""
        return 0.995 if self.pixels else 1.0

    @property
    def resolution(self) -> str:
        """Whose resolution the heatmaps have."""
        return self.level

    @property
    def options(self) -> dict[str, Any]:
        """What a caller may set, and the values it has now."""
        return _options(self.function) | _options(self.choose_gradient_rule)

    def with_options(self, given: Mapping[str, Any]) -> "Method":
        """Return the method with some of its options set, which are taken to be right in name.

        Raises:
            OptionError: A way back is not among those that can be chosen.
        """
        method = replace(self, function=_with(self.function, given), has_closed_form=False)
        if self.choose_gradient_rule is None:
            return method
        choose = _with(self.choose_gradient_rule, given)
        return replace(method, choose_gradient_rule=choose, backward=choose())

    def __call__(self, capture: Capture, *runner: Runner) -> Tensor:
        """Make evidence (N, T, *space) of a capture."""
        return self.function(capture, *runner)


def _options(function: Callable[..., Any] | None) -> dict[str, Any]:
    """Return a function's keyword-only parameters and their defaults; none of no function."""
    parameters = () if function is None else inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def _with(function: Callable[..., Any], given: Mapping[str, Any]) -> Callable[..., Any]:
    """Return a function with those of the options set that it has."""
    return partial(function, **{name: value for name, value in given.items() if name in _options(function)})
