"""Targets: what is explained about a model's outputs.

A target is a function of the outputs that gives scores (N, T): T scores for each image. The classes here differ only in
how they select among the outputs. Each of them could be written as a plain function, and a plain function is accepted
wherever a target is.
"""

from seewhy.targets.classes import Class, Counterfactual, Difference, TopK
from seewhy.targets.dense import Embedding, Region
from seewhy.targets.detection import Detection
from seewhy.targets.functions import AllOutputs, Function
from seewhy.targets.objective import Objective
from seewhy.targets.parsing import TargetSpec, resolve
from seewhy.targets.prompt import Prompt
from seewhy.targets.regression import Regression
from seewhy.targets.target import ClassFinder, ClassNamer, Target, TargetScores
from seewhy.targets.target_lists import Combined, PerImage

__all__ = [
    "AllOutputs",
    "Class",
    "ClassFinder",
    "ClassNamer",
    "Combined",
    "Counterfactual",
    "Detection",
    "Difference",
    "Embedding",
    "Function",
    "Objective",
    "PerImage",
    "Prompt",
    "Region",
    "Regression",
    "Target",
    "TargetScores",
    "TargetSpec",
    "TopK",
    "resolve",
]
