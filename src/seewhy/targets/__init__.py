"""What can be asked about a network's outputs.

A target is a function of the outputs that gives a score for every image, (N, T). The classes here differ only in
how they choose among the outputs; every one of them can be written as a plain function, and a plain function is
accepted wherever a target is.
"""

from seewhy.targets.classes import Against, Class, Difference, Top
from seewhy.targets.combined import EachImage, Several
from seewhy.targets.dense import Embedding, Region
from seewhy.targets.functions import Box, Function
from seewhy.targets.objective import Question
from seewhy.targets.parsing import resolve
from seewhy.targets.target import Answer, ClassFinder, ClassNamer, Target

__all__ = [
    "Against",
    "Answer",
    "Box",
    "Class",
    "ClassFinder",
    "ClassNamer",
    "Difference",
    "EachImage",
    "Embedding",
    "Function",
    "Question",
    "Region",
    "Several",
    "Target",
    "Top",
    "resolve",
]
