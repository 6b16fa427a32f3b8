"""SeeWhy shows which part of a picture made a neural network say that.

>>> import seewhy
>>> classifier = seewhy.load("efficientnet-lite0")
>>> explanation = seewhy.explain(classifier, "cat.jpg", targets="top-3")
>>> explanation.save("cat.png")
"""

from seewhy import errors, targets
from seewhy.errors import SeewhyError
from seewhy.explainer import Explainer, explain
from seewhy.explanation import Explanation, Heatmaps, TargetResult
from seewhy.images.geometry import Placement
from seewhy.models import Classifier, ClassNames, Inputs, Prediction, Preprocessing, load

__version__ = "0.1.0"

__all__ = [
    "ClassNames",
    "Classifier",
    "Explainer",
    "Explanation",
    "Heatmaps",
    "Inputs",
    "Placement",
    "Prediction",
    "Preprocessing",
    "SeewhyError",
    "TargetResult",
    "errors",
    "explain",
    "load",
    "targets",
]
