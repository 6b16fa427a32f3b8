"""The table of metrics."""

from collections.abc import Mapping
from functools import partial

from seewhy.evaluate.adcc import adcc, adcc_explanations
from seewhy.evaluate.average_drop import average_drop
from seewhy.evaluate.average_gain import average_gain
from seewhy.evaluate.average_increase import average_increase
from seewhy.evaluate.box_iou import box_iou
from seewhy.evaluate.deletion import deletion, deletion_curve
from seewhy.evaluate.energy_pointing_game import energy_pointing_game
from seewhy.evaluate.entropy import entropy
from seewhy.evaluate.gini import gini
from seewhy.evaluate.grid_pointing_game import grid_pointing_game, mosaic_explanations
from seewhy.evaluate.insertion import insertion, insertion_curve
from seewhy.evaluate.masked_scores import masked_forwards
from seewhy.evaluate.max_sensitivity import max_sensitivity, sensitivity_explanations
from seewhy.evaluate.metric import Metric, no_forwards
from seewhy.evaluate.model_randomization import (
    independent_randomization,
    model_randomization,
    randomization_curve,
    randomization_explanations,
)
from seewhy.evaluate.mufidelity import mufidelity, mufidelity_forwards
from seewhy.evaluate.occlusion_correlation import occlusion_correlation, occlusion_forwards
from seewhy.evaluate.pointing_game import pointing_game
from seewhy.evaluate.random_logit import random_logit, two_explanations
from seewhy.evaluate.relevance_mass import relevance_mass
from seewhy.evaluate.relevance_rank import relevance_rank
from seewhy.evaluate.removal_curve import removal_forwards
from seewhy.evaluate.road import road, road_curve, road_forwards
from seewhy.evaluate.swept_box_iou import box_iou_curve, swept_box_iou

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
            name="insertion",
            title="Insertion",
            family="faithfulness",
            higher_is_better=True,
            paper="1806.07421",
            needs="classifier",
            function=insertion,
            forwards=removal_forwards,
            curve=insertion_curve,
        ),
        Metric(
            name="road",
            title="ROAD",
            family="faithfulness",
            higher_is_better=True,
            paper="2202.00449",
            needs="classifier",
            function=road,
            forwards=road_forwards,
            curve=road_curve,
        ),
        Metric(
            name="average_drop",
            title="Average drop",
            family="faithfulness",
            higher_is_better=False,
            paper="1710.11063",
            needs="classifier",
            function=average_drop,
            forwards=masked_forwards,
        ),
        Metric(
            name="average_increase",
            title="Increase in confidence",
            family="faithfulness",
            higher_is_better=True,
            paper="1710.11063",
            needs="classifier",
            function=average_increase,
            forwards=masked_forwards,
        ),
        Metric(
            name="average_gain",
            title="Average gain",
            family="faithfulness",
            higher_is_better=True,
            paper="2301.07002",
            needs="classifier",
            function=average_gain,
            forwards=masked_forwards,
        ),
        Metric(
            name="adcc",
            title="ADCC",
            family="faithfulness",
            higher_is_better=True,
            paper="2104.10252",
            needs="explainer",
            function=adcc,
            forwards=adcc_explanations,
        ),
        Metric(
            name="mufidelity",
            title="MuFidelity",
            family="faithfulness",
            higher_is_better=True,
            paper="2005.00631",
            needs="classifier",
            function=mufidelity,
            forwards=mufidelity_forwards,
        ),
        Metric(
            name="occlusion_correlation",
            title="Rank correlation with occlusion",
            family="faithfulness",
            higher_is_better=True,
            paper="1610.02391",
            needs="classifier",
            function=occlusion_correlation,
            forwards=occlusion_forwards,
        ),
        Metric(
            name="pointing_game",
            title="Pointing game",
            family="localisation",
            higher_is_better=True,
            paper="1608.00507",
            needs="annotations",
            function=pointing_game,
            forwards=no_forwards,
        ),
        Metric(
            name="energy_pointing_game",
            title="Energy-based pointing game",
            family="localisation",
            higher_is_better=True,
            paper="1910.01279",
            needs="annotations",
            function=energy_pointing_game,
            forwards=no_forwards,
        ),
        Metric(
            name="relevance_mass",
            title="Relevance mass",
            family="localisation",
            higher_is_better=True,
            paper="2003.07258",
            needs="annotations",
            function=relevance_mass,
            forwards=no_forwards,
        ),
        Metric(
            name="relevance_rank",
            title="Relevance rank",
            family="localisation",
            higher_is_better=True,
            paper="2003.07258",
            needs="annotations",
            function=relevance_rank,
            forwards=no_forwards,
        ),
        Metric(
            name="box_iou",
            title="IoU of the 15% box",
            family="localisation",
            higher_is_better=True,
            paper="1610.02391",
            needs="annotations",
            function=box_iou,
            forwards=no_forwards,
        ),
        Metric(
            name="swept_box_iou",
            title="IoU of the best box",
            family="localisation",
            higher_is_better=True,
            paper="2001.07437",
            needs="annotations",
            function=swept_box_iou,
            forwards=no_forwards,
            curve=box_iou_curve,
        ),
        Metric(
            name="grid_pointing_game",
            title="Grid pointing game",
            family="localisation",
            higher_is_better=True,
            paper="2104.00032",
            needs="explainer",
            function=grid_pointing_game,
            forwards=mosaic_explanations,
        ),
        Metric(
            name="max_sensitivity",
            title="Max-sensitivity",
            family="robustness",
            higher_is_better=False,
            paper="1901.09392",
            needs="explainer",
            function=max_sensitivity,
            forwards=sensitivity_explanations,
        ),
        Metric(
            name="model_randomization",
            title="Model randomisation",
            family="sanity",
            higher_is_better=False,
            paper="1810.03292",
            needs="explainer",
            function=model_randomization,
            forwards=randomization_explanations,
            curve=randomization_curve,
        ),
        Metric(
            name="independent_randomization",
            title="Independent randomisation",
            family="sanity",
            higher_is_better=False,
            paper="1810.03292",
            needs="explainer",
            function=independent_randomization,
            forwards=randomization_explanations,
            curve=partial(randomization_curve, mode="independent"),
        ),
        Metric(
            name="random_logit",
            title="Random logit",
            family="sanity",
            higher_is_better=False,
            paper="1912.09818",
            needs="explainer",
            function=random_logit,
            forwards=two_explanations,
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
        Metric(
            name="gini",
            title="Gini index",
            family="complexity",
            higher_is_better=True,
            paper="1810.06583",
            needs="heatmaps",
            function=gini,
            forwards=no_forwards,
        ),
    )
}
