"""How activations and gradients become a heatmap: one short function each, and the table of their names."""

from seewhy.methods.method import Again, Method
from seewhy.methods.table import METHODS, get

__all__ = ["METHODS", "Again", "Method", "get"]
