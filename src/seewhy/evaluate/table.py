"""The table of metrics."""

from collections.abc import Mapping

from seewhy.evaluate.deletion import deletion, deletion_curve, removal_forwards
from seewhy.evaluate.entropy import entropy
from seewhy.evaluate.metric import Metric, no_forwards

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            name="deletion",
            title="Deletion",
            family="faithfulness",
            higher_is_better=False,
            paper="1806.07421",
            needs="classifier",
            function=deletion,
            forwards=removal_forwards,
            curve=deletion_curve,
        ),
        Metric(
            name="entropy",
            title="Entropy",
            family="complexity",
            higher_is_better=False,
            paper="2005.00631",
            needs="heatmaps",
            function=entropy,
            forwards=no_forwards,
        ),
    )
}
