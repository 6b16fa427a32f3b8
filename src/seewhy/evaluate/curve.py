"""A curve over the share of changed pixels, or over thresholds, for each image and target."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from seewhy.representation import ShortRepr
from seewhy.types import DoubleArray


@final
@dataclass(frozen=True, eq=False, repr=False)
class Curve(ShortRepr):
    """A curve for each image and target.

    Attributes:
        x: float64 (S,), increasing: what `x_label` says.
        y: float64 (N, T, S): what `y_label` says; NaN where it is undefined.
        x_label: What x is, as on the axis of a figure.
        y_label: What y is.
        summary: How the curve becomes one number: by the area under it, or by its maximum.
    """

    x: DoubleArray
    y: DoubleArray
    x_label: str
    y_label: str
    summary: Literal["area", "maximum"] = "area"

    @property
    def auc(self) -> DoubleArray:
        """(N, T): the area under each curve by the trapezoidal rule, divided by the width of x: a mean of y."""
        if len(self.x) == 1:
            return self.y[..., 0]
        heights = (self.y[..., 1:] + self.y[..., :-1]) / 2
        return np.asarray((heights * np.diff(self.x)).sum(axis=-1) / (self.x[-1] - self.x[0]))

    @property
    def values(self) -> DoubleArray:
        """(N, T): the value of the metric that the curve belongs to."""
        return self.auc if self.summary == "area" else np.asarray(self.y.max(axis=-1))
