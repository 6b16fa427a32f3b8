"""Detectors: models that return boxes with classes and scores."""

from seewhy.frameworks.torch.detectors.detector import (
    Detector,
    Found,
    check_scores_detections,
    find_detections,
    find_entries,
)
from seewhy.frameworks.torch.detectors.kinds import declared_detector, detector_of_outputs
from seewhy.frameworks.torch.detectors.reach import ReachRecorder

__all__ = [
    "Detector",
    "Found",
    "ReachRecorder",
    "check_scores_detections",
    "declared_detector",
    "detector_of_outputs",
    "find_detections",
    "find_entries",
]
