"""How good an explanation is: metrics, one file for each, and the table of their names."""

from seewhy.evaluate.adcc import adcc
from seewhy.evaluate.annotations import boxes_to_masks
from seewhy.evaluate.average_drop import average_drop
from seewhy.evaluate.average_gain import average_gain
from seewhy.evaluate.average_increase import average_increase
from seewhy.evaluate.baselines import centered_gaussian, random_map
from seewhy.evaluate.box_iou import box_iou
from seewhy.evaluate.check import Check, check
from seewhy.evaluate.curve import Curve
from seewhy.evaluate.deletion import deletion, deletion_curve
from seewhy.evaluate.energy_pointing_game import energy_pointing_game
from seewhy.evaluate.entropy import entropy
from seewhy.evaluate.gini import gini
from seewhy.evaluate.grid_pointing_game import grid_pointing_game
from seewhy.evaluate.insertion import insertion, insertion_curve
from seewhy.evaluate.max_sensitivity import max_sensitivity
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.model_randomization import independent_randomization, model_randomization, randomization_curve
from seewhy.evaluate.mufidelity import mufidelity
from seewhy.evaluate.occlusion_correlation import occlusion_correlation
from seewhy.evaluate.pointing_game import pointing_game
from seewhy.evaluate.random_logit import random_logit
from seewhy.evaluate.relevance_mass import relevance_mass
from seewhy.evaluate.relevance_rank import relevance_rank
from seewhy.evaluate.road import road, road_curve
from seewhy.evaluate.study import study
from seewhy.evaluate.study_result import Study
from seewhy.evaluate.study_sources import explanation_of_map
from seewhy.evaluate.swept_box_iou import box_iou_curve, mask_iou_curve, max_box_accuracy, swept_box_iou
from seewhy.evaluate.table import METRICS

__all__ = [
    "METRICS",
    "Check",
    "Curve",
    "Metric",
    "Study",
    "adcc",
    "average_drop",
    "average_gain",
    "average_increase",
    "box_iou",
    "box_iou_curve",
    "boxes_to_masks",
    "centered_gaussian",
    "check",
    "deletion",
    "deletion_curve",
    "energy_pointing_game",
    "entropy",
    "explanation_of_map",
    "gini",
    "grid_pointing_game",
    "independent_randomization",
    "insertion",
    "insertion_curve",
    "mask_iou_curve",
    "max_box_accuracy",
    "max_sensitivity",
    "model_randomization",
    "mufidelity",
    "occlusion_correlation",
    "pointing_game",
    "random_logit",
    "random_map",
    "randomization_curve",
    "relevance_mass",
    "relevance_rank",
    "road",
    "road_curve",
    "study",
    "swept_box_iou",
]
