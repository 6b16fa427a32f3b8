"""How good an explanation is: metrics, one file for each, and the table of their names."""

from seewhy.evaluate.curve import Curve
from seewhy.evaluate.deletion import deletion, deletion_curve
from seewhy.evaluate.entropy import entropy
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.table import METRICS

__all__ = ["METRICS", "Curve", "Metric", "deletion", "deletion_curve", "entropy"]
