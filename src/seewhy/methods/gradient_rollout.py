"""Gradient-weighted attention rollout (Chefer, Gur and Wolf, ICCV 2021)."""

from seewhy.methods.attention_chain import read_beyond_own
from seewhy.types import AttentionCapture, Tensor


def gradient_rollout(capture: AttentionCapture) -> Tensor:
    """Weight each attention map by its positive gradients, and follow the layers back to the image's tokens.

    Equations 5 and 6 of the paper, for self-attention: the mean over the heads h of attention times gradient, and the
    relevance R of each token to each other, from R = I and from the first layer to the last:

        A'_l = mean_h ReLU(dy^c/dA_l * A_l)
        R <- R + A'_l R

    The heatmap is the mean, over the tokens that the model's head reads, of their rows of R: that of the class token,
    or those of all tokens that are averaged. Where these are the image's own tokens, R - I is taken (equation 8): the
    identity is the same for every image. A layer that pools tokens, or gives them to a class token that joins them
    there, has no skip connection for them: R <- A'_l R for its queries.

    Args:
        capture: The attention maps and their gradients.

    Returns:
        Raw heatmaps (N, T, L) over tokens, 0 or more: products of scores, without a unit.

    Raises:
        LayerError: The maps are within windows, or cannot be chained.

    Reference:
        Chefer, Gur and Wolf, "Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder
        Transformers", ICCV 2021, arXiv 2103.15679.
    """
    xp = capture.xp
    weighted = [
        xp.mean(xp.maximum(gradients * attention[:, None], 0.0), axis=2)
        for gradients, attention in zip(capture.require_gradients(), capture.maps, strict=True)
    ]
    return read_beyond_own(capture, weighted)
