"""Comparing the outputs of an exported model with those of the explainer that it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import ModelError, warn
from seewhy.explainer import Explainer
from seewhy.exporter.samples import Samples
from seewhy.frameworks.export_settings import Classes, ExportSettings
from seewhy.results.heatmaps import Heatmaps

SMALL_SHARE = 0.1
"""The share of the largest value, up to which deviations are relative to a heatmap's own largest value."""

SMALLEST = 1e-12
"""Values that are all smaller are those of a saturated probability: nothing but rounding."""


@final
@dataclass(frozen=True)
class Verification:
    """What an exported model has to return for samples.

    Attributes:
        explainer: The source.
        samples: The samples.
        classes: The classes that are explained.
        heatmaps: Those of the explainer.
        is_placed: Whether the exported model enlarges them.
        tolerance: How far its outputs may deviate, relative to the largest value.
    """

    explainer: Explainer
    samples: Samples
    classes: Classes
    heatmaps: Heatmaps
    is_placed: bool
    tolerance: float

    @classmethod
    def of(
        cls, explainer: Explainer, samples: Samples, classes: Classes, *, is_placed: bool, tolerance: float
    ) -> "Verification":
        """Explain the samples, and return what an exported model has to return for them."""
        targets: Any = f"top-{classes}" if isinstance(classes, int) else classes and list(classes)
        if targets is None:
            probabilities: Any = explainer.framework.predict(samples.inputs, explainer.output)
            targets = list(range(probabilities.shape[1]))
        heatmaps = explainer.heatmaps(samples.inputs, targets)
        if not heatmaps.values.any():
            warn(
                "All heatmaps of the samples are 0, so that those of the exported model are hardly verified. Give "
                "samples=... with images that show the classes, or explain with signed=True."
            )
        return cls(explainer, samples, classes, heatmaps, is_placed, tolerance)

    def check(self, outputs: Mapping[str, NDArray[Any]], settings: ExportSettings) -> float:
        """Return how far outputs for the samples are from those of the explainer, relative to the largest value.

        Raises:
            ModelError: By more than the tolerance.
        """
        wanted = self._wanted(outputs)
        scores = np.take_along_axis(outputs["scores"], wanted.indices.astype(np.int64), axis=1)
        values: NDArray[Any] = wanted.values
        if settings.enlargement is not None:
            values = settings.enlargement.rows @ values @ settings.enlargement.columns.T
        pairs = {"scores": (scores, wanted.scores), "heatmaps": (outputs["heatmaps"], values)}
        if "probabilities" in outputs and wanted.probabilities is not None:
            pairs["probabilities"] = outputs["probabilities"], wanted.probabilities
        deviations = {
            name: deviation(found, expected, (1,) if expected.ndim == 2 else tuple(range(2, expected.ndim)))
            for name, (found, expected) in pairs.items()
        }
        worst = max(deviations, key=lambda name: deviations[name])
        if not deviations[worst] <= self.tolerance:
            raise ModelError(
                f"The exported model deviates from its source: its {worst} by {deviations[worst]:.1e} of the largest "
                f"value on sample images; up to {self.tolerance:g} is allowed. No file was written. Give another "
                "layer or method; or a tolerance=..., if that is good enough."
            )
        return deviations[worst]

    def _wanted(self, outputs: Mapping[str, NDArray[Any]]) -> Heatmaps:
        """Return the explainer's heatmaps of the classes that the exported model explains."""
        if "classes" not in outputs or np.array_equal(outputs["classes"], self.heatmaps.indices):
            return self.heatmaps
        # Of classes whose scores are equal up to rounding, another may come first.
        chosen = np.take_along_axis(outputs["scores"], outputs["classes"], axis=1)
        if deviation(chosen, self.heatmaps.scores, (1,)) > self.tolerance:
            return self.heatmaps
        return self.explainer.heatmaps(self.samples.inputs, outputs["classes"].tolist())


def deviation(found: NDArray[Any], wanted: NDArray[Any], axes: tuple[int, ...]) -> float:
    """Return the largest difference, relative to the largest value along axes, such as those of one heatmap.

    It is infinite for another shape, and for NaN. Differences of small heatmaps are relative to a share of the largest
    value of all, as rounding does not become smaller with them.
    """
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    largest = np.max(np.abs(wanted), axis=axes, keepdims=True, initial=0.0)
    least = max(SMALL_SHARE * float(np.max(largest, initial=0.0)), SMALLEST)
    return float(np.max(np.abs(found - wanted) / np.maximum(largest, least), initial=0.0))
