"""The methods by which others make a heatmap of what they capture."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from seewhy.methods.gradcam import gradcam
from seewhy.methods.gradcampp import gradcampp
from seewhy.methods.hirescam import hirescam
from seewhy.methods.layercam import layercam
from seewhy.methods.xgradcam import xgradcam
from seewhy.types import Capture, Tensor

Base = Literal["gradcam", "hirescam", "gradcam++", "xgradcam", "layercam"]

BASES: Mapping[str, Callable[[Capture], Tensor]] = MappingProxyType(
    {
        "gradcam": gradcam,
        "hirescam": hirescam,
        "gradcam++": gradcampp,
        "xgradcam": xgradcam,
        "layercam": layercam,
    }
)
"""Methods that need the gradients of one capture."""
