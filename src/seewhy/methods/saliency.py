"""Saliency by the gradient (Simonyan, Vedaldi and Zisserman, 2013, arXiv 1312.6034)."""

from seewhy.types import Capture, Tensor


def saliency(capture: Capture) -> Tensor:
    """Take the greatest size of each pixel's gradients over its channels: how much the score hangs on the pixel.

    Section 3.1 of the paper, with w the gradient by the input. A size has no sign: it does not say whether the pixel
    speaks for the target or against it.

        M_ij = max_c |w_ijc|

    Returns:
        (N, T, *space), in units of the score per unit of the input.
    """
    return capture.xp.max(capture.xp.abs(capture.gradients), axis=-1)
