"""LeGrad (Bousselham et al., ICCV 2025)."""

from seewhy.errors import LayerError
from seewhy.methods.attention_chain import steps_of
from seewhy.types import AttentionCapture, Tensor


def legrad(capture: AttentionCapture) -> Tensor:
    """Average the positive gradients of the attention maps over heads, queries and layers.

    Equations 7 to 9 of the paper, with h heads, n queries i, and L layers l:

        E_l = 1/(h n) sum_h sum_i ReLU(dy^c/dA_l[h, i])
        L^c = 1/L sum_l E_l

    Differs from the paper in the score: there y is computed anew from the tokens of each layer, as if the model ended
    with it; here it is the model's own score for all layers. So any head can be explained, and a layer counts for what
    the model makes of it. The paper's scaling of each heatmap to 0..1 is left out.

    Args:
        capture: The gradients of the attention maps.

    Returns:
        Raw heatmaps (N, T, L) over tokens, 0 or more, in units of the score.

    Raises:
        LayerError: The maps are within windows, or of different tokens.

    Reference:
        Bousselham, Boggust, Chaybouti, Strobelt and Kuehne, "LeGrad: An Explainability Method for Vision Transformers
        via Feature Formation Sensitivity", ICCV 2025, arXiv 2404.03214.
    """
    xp, gradients = capture.xp, capture.require_gradients()
    steps = steps_of(capture)
    if "pool" in steps[:-1]:
        raise LayerError(
            "LeGrad averages attention over layers with the same tokens, and this model has fewer of them in later "
            "layers. Use legrad_rollout or gradient_rollout, or a method that explains a layer, such as gradcam."
        )
    by_layer = [xp.mean(xp.maximum(each, 0.0), axis=(2, 3)) for each in gradients]
    tokens = by_layer[0].shape[-1]  # a class token that joins them in later layers precedes them
    return xp.mean(xp.stack([each[:, :, each.shape[-1] - tokens :] for each in by_layer], axis=0), axis=0)
