"""Detectors: models that return boxes with classes and scores."""

from seewhy.frameworks.torch.detectors.detector import Detector, Found, find_detections, find_entries
from seewhy.frameworks.torch.detectors.kinds import declared_detector, detector_of_outputs
from seewhy.frameworks.torch.detectors.reach import ReachRecorder

__all__ = [
    "Detector",
    "Found",
    "ReachRecorder",
    "declared_detector",
    "detector_of_outputs",
    "find_detections",
    "find_entries",
]
