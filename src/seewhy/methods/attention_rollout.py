"""Attention rollout (Abnar and Zuidema, ACL 2020)."""

from seewhy.methods.attention_chain import read_back
from seewhy.types import AttentionCapture, Tensor


def attention_rollout(capture: AttentionCapture) -> Tensor:
    """Multiply the attention maps of all layers, with half of each for the skip connection.

    Section 3 of the paper, with A_l averaged over the heads; from R = I and from the first layer to the last:

        R <- (0.5 A_l + 0.5 I) R

    The heatmap is the mean, over the tokens that the model's head reads, of their rows of R: that of the class token,
    or those of all tokens that are averaged. It is the same for every target that reads the same tokens, as it is in
    all models but those with a class token for each class: it shows where the model looks, which is no evidence for a
    class. A layer that pools tokens has no skip connection for them: R <- A_l R, up to a factor.

    Args:
        capture: The attention maps.

    Returns:
        Raw heatmaps (N, T, L) over tokens, 0 or more: shares of the image's tokens.

    Raises:
        LayerError: The maps are within windows, or cannot be chained.

    Reference:
        Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, arXiv 2005.00928.
    """
    xp = capture.xp
    means = [xp.mean(attention[:, None], axis=2) for attention in capture.maps]
    rollout = read_back(capture, means, skip=0.5, share=0.5)
    return rollout + xp.zeros_like(capture.scores)[:, :, None]
