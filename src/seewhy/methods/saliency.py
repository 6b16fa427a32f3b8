"""Saliency maps (Simonyan, Vedaldi and Zisserman, 2013)."""

from seewhy.types import Capture, Tensor


def saliency(capture: Capture) -> Tensor:
    """Take the largest absolute gradient of each pixel over its channels.

    Section 3.1 of the paper, with w the gradient with respect to the input. The value has no sign: it does not tell
    evidence for the target from evidence against it:

        M_ij = max_c |w_ijc|

    Args:
        capture: The gradients of the input.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score per unit of the input.

    Reference:
        Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks: Visualising Image Classification Models
        and Saliency Maps", 2013, arXiv 1312.6034.
    """
    return capture.xp.max(capture.xp.abs(capture.require_gradients()), axis=-1)
