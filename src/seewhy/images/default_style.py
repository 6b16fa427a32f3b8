"""The colours and the opacity that everything draws with unless told otherwise: library, command line and viewer.

This file imports nothing, so that the command line shows the defaults without waiting for NumPy.
"""

DEFAULT_COLORMAP = "viridis"
"""A colour map of the base and of the viewer, in which equal differences of the heatmap look equal."""

DEFAULT_ALPHA = 0.5
"""The weight of the colours; that of the image is 1 - alpha."""
