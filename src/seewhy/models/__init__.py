"""Models: a model together with its preprocessing and class names, loaded by name or from a file."""

from seewhy.models.class_names import ClassNames
from seewhy.models.classifier import Classifier, Prediction
from seewhy.models.model_file import load_onnx
from seewhy.models.preprocessing import Inputs, Preprocessing
from seewhy.models.registry import MODELS, SOURCES, NamedModel, Source, load
from seewhy.models.samples import SampleInputs

__all__ = [
    "MODELS",
    "SOURCES",
    "ClassNames",
    "Classifier",
    "Inputs",
    "NamedModel",
    "Prediction",
    "Preprocessing",
    "SampleInputs",
    "Source",
    "load",
    "load_onnx",
]
