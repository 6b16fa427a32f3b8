"""What is known about a metric: its name, its direction, and what it needs."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

Family = Literal["faithfulness", "localisation", "robustness", "sanity", "complexity"]
"""What a metric asks: whether the map shows what the model uses; whether it lies on the object; whether it changes
little with the image; whether it changes with the model; and how concentrated it is."""

Needs = Literal["heatmaps", "classifier", "explainer", "annotations"]
"""What a metric is a function of: heatmaps; heatmaps and masks of objects; a model, images and heatmaps; or an
explainer and images."""


@final
@dataclass(frozen=True)
class Metric:
    """A metric of heatmaps, as the table lists it.

    Attributes:
        name: The name of the function in `seewhy.evaluate`.
        title: The metric's name in tables and figures.
        family: What it asks.
        higher_is_better: Whether a higher value is better.
        paper: arXiv number, or where it was published.
        needs: What the function takes: `function(heatmaps)`; `function(heatmaps, masks)` for annotations;
            `function(classifier, images, heatmaps, targets)`; or `function(explainer, images, targets)`. Options follow
            by keyword.
        function: Returns float64 (N, T), a value for each image and target, NaN where it is undefined.
        forwards: From options by keyword, which it may ignore, to the number of forward passes for each image and
            target; for a metric that needs an explainer, the number of explanations.
        curve: Returns a `Curve`, whose `values` are those of the metric; None for a metric without one. It takes what
            `function` takes.
    """

    name: str
    title: str
    family: Family
    higher_is_better: bool
    paper: str
    needs: Needs
    function: Callable[..., Any]
    forwards: Callable[..., int]
    curve: Callable[..., Any] | None = None

    @property
    def has_curve(self) -> bool:
        """Whether the metric's value summarises a curve."""
        return self.curve is not None

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the function with their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Return the values, float64 (N, T)."""
        return self.function(*arguments, **options)


def no_forwards(**_: Any) -> int:
    """Return 0, the forward passes of a metric of heatmaps alone."""
    return 0
