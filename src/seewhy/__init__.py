"""SeeWhy shows which part of an image made a neural network say that.

>>> import seewhy
>>> classifier = seewhy.load("efficientnet-lite0")
>>> explanation = seewhy.explain(classifier, "cat.jpg", targets="top-3")
>>> explanation.save("cat.png")

Every public name is imported when it is first used, so that `import seewhy` and `seewhy --help` cost nothing.
"""

import importlib
import logging
from typing import TYPE_CHECKING, Any

from seewhy.version import __version__ as __version__

if TYPE_CHECKING:
    from seewhy import datasets, errors, evaluate, integrations, methods, targets, timing
    from seewhy.errors import SeewhyError
    from seewhy.explainer import Explainer
    from seewhy.exporter.exporter import Export, export
    from seewhy.frameworks import LayerCall
    from seewhy.frameworks.onnx.model import OnnxModel
    from seewhy.images.geometry import Placement
    from seewhy.images.style import Style
    from seewhy.models import Classifier, ClassNames, Inputs, Prediction, Preprocessing, SampleInputs, load, load_onnx
    from seewhy.one_call import compare, explain
    from seewhy.recordings.find_reader import read_signal, read_video, read_volume
    from seewhy.recordings.grid_placement import GridPlacement
    from seewhy.recordings.recording import Signal, Video, Volume
    from seewhy.results.channel_inspection import Inspection
    from seewhy.results.comparison import Comparison
    from seewhy.results.explanation import Explanation
    from seewhy.results.foreign_maps import from_maps, view
    from seewhy.results.heatmaps import Heatmaps
    from seewhy.results.multi_image_explanation import MultiImageExplanation
    from seewhy.results.signal_explanation import SignalExplanation
    from seewhy.results.target_result import TargetResult
    from seewhy.results.video_explanation import VideoExplanation
    from seewhy.results.volume_explanation import VolumeExplanation
    from seewhy.site.write_site import write_site

logging.getLogger("seewhy").addHandler(logging.NullHandler())  # silent, until the program asks for its messages

__all__ = [
    "ClassNames",
    "Classifier",
    "Comparison",
    "Explainer",
    "Explanation",
    "Export",
    "GridPlacement",
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
    "Signal",
    "SignalExplanation",
    "Style",
    "TargetResult",
    "TokenGrid",
    "Video",
    "VideoExplanation",
    "Volume",
    "VolumeExplanation",
    "compare",
    "datasets",
    "errors",
    "evaluate",
    "explain",
    "export",
    "from_maps",
    "integrations",
    "load",
    "load_onnx",
    "methods",
    "read_signal",
    "read_video",
    "read_volume",
    "targets",
    "timing",
    "view",
    "write_site",
]

_ROOMS = {
    "seewhy.results.comparison": ("Comparison",),
    "seewhy.errors": ("SeewhyError",),
    "seewhy.explainer": ("Explainer",),
    "seewhy.one_call": ("compare", "explain"),
    "seewhy.exporter.exporter": ("Export", "export"),
    "seewhy.results.explanation": ("Explanation",),
    "seewhy.results.foreign_maps": ("from_maps", "view"),
    "seewhy.results.heatmaps": ("Heatmaps",),
    "seewhy.results.multi_image_explanation": ("MultiImageExplanation",),
    "seewhy.frameworks": ("LayerCall",),
    "seewhy.frameworks.onnx.model": ("OnnxModel",),
    "seewhy.frameworks.tokens": ("TokenGrid",),
    "seewhy.images.geometry": ("Placement",),
    "seewhy.images.style": ("Style",),
    "seewhy.recordings.find_reader": ("read_signal", "read_video", "read_volume"),
    "seewhy.recordings.grid_placement": ("GridPlacement",),
    "seewhy.recordings.recording": ("Signal", "Video", "Volume"),
    "seewhy.results.channel_inspection": ("Inspection",),
    "seewhy.results.signal_explanation": ("SignalExplanation",),
    "seewhy.results.video_explanation": ("VideoExplanation",),
    "seewhy.results.volume_explanation": ("VolumeExplanation",),
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
}


def __getattr__(name: str) -> Any:
    if name in ("datasets", "errors", "evaluate", "integrations", "methods", "targets", "timing"):
        return importlib.import_module(f"seewhy.{name}")
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(room), name)
    raise AttributeError(f"module 'seewhy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
