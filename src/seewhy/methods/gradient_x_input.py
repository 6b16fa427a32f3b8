"""Gradient x input (Shrikumar et al., 2016)."""

from seewhy.types import Capture, Tensor


def gradient_x_input(capture: Capture) -> Tensor:
    """Multiply each value of the input by its own gradient, and sum the channels.

    Section 2 of the paper. For a ReLU network without biases, the heatmap sums to the score:

        M_ij = sum_c dy/dx_ijc * x_ijc

    Args:
        capture: The input and its gradients.

    Returns:
        Raw heatmaps (N, T, *space), in units of the score.

    Reference:
        Shrikumar et al., "Not Just a Black Box: Learning Important Features Through Propagating Activation
        Differences", 2016, arXiv 1605.01713.
    """
    return capture.xp.einsum("nt...c,n...c->nt...", capture.require_gradients(), capture.activations)
