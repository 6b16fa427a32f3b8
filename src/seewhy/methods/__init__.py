"""Methods: functions that turn activations and gradients into raw heatmaps, and the table of their names."""

from seewhy.methods.find import AUTO, get
from seewhy.methods.method import Method, Runner
from seewhy.methods.table import METHODS

__all__ = ["AUTO", "METHODS", "Method", "Runner", "get"]
