"""SeeWhy shows which part of an image made a neural network say that.

>>> import seewhy
>>> classifier = seewhy.load("efficientnet-lite0")
>>> explanation = seewhy.explain(classifier, "cat.jpg", targets="top-3")
>>> explanation.save("cat.png")

Every public name is imported when it is first used, so that `import seewhy` and `seewhy --help` cost nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from seewhy.version import __version__ as __version__

if TYPE_CHECKING:
    from seewhy import datasets, errors, evaluate, methods, targets, timing
    from seewhy.errors import SeewhyError
    from seewhy.explainer import Explainer, compare, explain
    from seewhy.exporter.exporter import Export, export
    from seewhy.frameworks import LayerCall
    from seewhy.frameworks.onnx.model import OnnxModel
    from seewhy.images.geometry import Placement
    from seewhy.images.style import Style
    from seewhy.models import Classifier, ClassNames, Inputs, Prediction, Preprocessing, SampleInputs, load, load_onnx
    from seewhy.results.channel_inspection import Inspection
    from seewhy.results.comparison import Comparison
    from seewhy.results.explanation import Explanation
    from seewhy.results.heatmaps import Heatmaps
    from seewhy.results.multi_image_explanation import MultiImageExplanation
    from seewhy.results.target_result import TargetResult
    from seewhy.site.write_site import write_site
    from seewhy.viewer.notebook import view

__all__ = [
    "ClassNames",
    "Classifier",
    "Comparison",
    "Explainer",
    "Explanation",
    "Export",
    "Heatmaps",
    "Inputs",
    "Inspection",
    "LayerCall",
    "MultiImageExplanation",
    "OnnxModel",
    "Placement",
    "Prediction",
    "Preprocessing",
    "SampleInputs",
    "SeewhyError",
    "Style",
    "TargetResult",
    "TokenGrid",
    "compare",
    "datasets",
    "errors",
    "evaluate",
    "explain",
    "export",
    "load",
    "load_onnx",
    "methods",
    "targets",
    "timing",
    "view",
    "write_site",
]

_ROOMS = {
    "seewhy.results.comparison": ("Comparison",),
    "seewhy.errors": ("SeewhyError",),
    "seewhy.explainer": ("Explainer", "compare", "explain"),
    "seewhy.exporter.exporter": ("Export", "export"),
    "seewhy.results.explanation": ("Explanation",),
    "seewhy.results.heatmaps": ("Heatmaps",),
    "seewhy.results.multi_image_explanation": ("MultiImageExplanation",),
    "seewhy.frameworks": ("LayerCall",),
    "seewhy.frameworks.onnx.model": ("OnnxModel",),
    "seewhy.frameworks.tokens": ("TokenGrid",),
    "seewhy.images.geometry": ("Placement",),
    "seewhy.images.style": ("Style",),
    "seewhy.results.channel_inspection": ("Inspection",),
    "seewhy.results.target_result": ("TargetResult",),
    "seewhy.models": (
        "ClassNames",
        "Classifier",
        "Inputs",
        "Prediction",
        "Preprocessing",
        "SampleInputs",
        "load",
        "load_onnx",
    ),
    "seewhy.site.write_site": ("write_site",),
    "seewhy.viewer.notebook": ("view",),
}


def __getattr__(name: str) -> Any:
    if name in ("datasets", "errors", "evaluate", "methods", "targets", "timing"):
        return importlib.import_module(f"seewhy.{name}")
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(room), name)
    raise AttributeError(f"module 'seewhy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
