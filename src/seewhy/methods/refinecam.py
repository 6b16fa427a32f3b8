"""RefineCAM (Domeniconi et al., 2026)."""

from seewhy.methods.base_methods import BASES, Base
from seewhy.types import Capture, Tensor


def refinecam(capture: Capture, *, base: Base = "gradcam++") -> Tensor:
    """Make the heatmap of one of several layers, whose product is the result.

    With L_l the heatmap of the base method at layer l, resized to the largest resolution:

        L = prod_l ReLU(L_l) / max(ReLU(L_l))

    A position remains where all layers have evidence: deep layers say what belongs to the class, early layers where
    exactly it is, and noise that only one of them has is gone. The product is made by the fusion of layers that
    `Explainer(layer=[...], fuse="product")` has; this function makes the factors. Of one layer that is given, or of
    "auto", the layers are that one and the last layer at each finer resolution that carries the whole score, at most 4.

    Args:
        capture: The activations and gradients of one of the layers.
        base: The method that makes each heatmap: "gradcam", "hirescam", "gradcam++", "xgradcam" or "layercam".

    Returns:
        Raw heatmaps (N, T, *space) of one layer, in units of the score.

    Reference:
        Domeniconi, Stramiglio, Lombardi and Salti, "How to Evaluate and Refine your CAM", 2026, arXiv 2605.14641; and
        the implementation of its authors in the library pytorch-grad-cam.
    """
    return BASES[base](capture)
