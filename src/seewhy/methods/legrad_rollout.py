"""LeGrad times attention rollout, which says both how much of a token is read and for which class."""

from dataclasses import replace

from seewhy.methods.attention_chain import steps_of
from seewhy.methods.attention_rollout import attention_rollout
from seewhy.methods.legrad import legrad
from seewhy.types import AttentionCapture, Tensor


def legrad_rollout(capture: AttentionCapture) -> Tensor:
    """Multiply, token by token, the heatmap of LeGrad by that of attention rollout.

    With L^c the heatmap of `legrad` and R that of `attention_rollout`, both over the image's tokens i:

        M^c[i] = L^c[i] * R[i]

    Both factors have papers; the product is SeeWhy's own. Rollout says how much of each token reaches what the model's
    head reads, and says the same for every class. LeGrad says for which class more attention to a token would count,
    also for a token that gets none. The product is large only where both are.

    Where a layer pools the tokens into fewer, LeGrad is averaged over the layers up to that one, as the later ones
    attend to other tokens.

    Args:
        capture: The attention maps and their gradients.

    Returns:
        Raw heatmaps (N, T, L) over tokens, 0 or more, without a unit.

    Raises:
        LayerError: The maps are within windows, or cannot be chained.

    Reference:
        Bousselham et al., "LeGrad: An Explainability Method for Vision Transformers via Feature Formation
        Sensitivity", ICCV 2025, arXiv 2404.03214; Abnar and Zuidema, "Quantifying Attention Flow in Transformers",
        ACL 2020, arXiv 2005.00928.
    """
    return legrad(_until_pooled(capture)) * attention_rollout(capture)


def _until_pooled(capture: AttentionCapture) -> AttentionCapture:
    """Return the capture of the layers that attend to the image's tokens: up to the first that pools them."""
    steps = steps_of(capture)
    count = steps.index("pool") + 1 if "pool" in steps else len(steps)
    return replace(capture, maps=capture.maps[:count], gradients=capture.require_gradients()[:count])
