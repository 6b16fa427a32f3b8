"""Gradient times input (Shrikumar et al., 2016, arXiv 1605.01713)."""

from seewhy.types import Capture, Tensor


def gradient_x_input(capture: Capture) -> Tensor:
    """Multiply each value of the input by its own gradient, and add the channels up.

    Section 2 of the paper. In a model of ReLUs without biases the map adds up to the score itself:

        M_ij = sum_c dy/dx_ijc * x_ijc

    Returns:
        (N, T, *space), in units of the score.
    """
    return capture.xp.einsum("nt...c,n...c->nt...", capture.gradients, capture.activations)
