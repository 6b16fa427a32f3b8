"""Methods: functions that turn activations and gradients into raw heatmaps, and the table of their names."""

from seewhy.methods.method import Method, Runner
from seewhy.methods.table import METHODS, get

__all__ = ["METHODS", "Method", "Runner", "get"]
