"""How good an explanation is: metrics, one file for each, and the table of their names."""

from seewhy.evaluate.check import Check, check
from seewhy.evaluate.curve import Curve
from seewhy.evaluate.deletion import deletion, deletion_curve
from seewhy.evaluate.entropy import entropy
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study import study
from seewhy.evaluate.study_result import Study
from seewhy.evaluate.table import METRICS

__all__ = [
    "METRICS",
    "Check",
    "Curve",
    "Metric",
    "Study",
    "check",
    "deletion",
    "deletion_curve",
    "entropy",
    "study",
]
