"""Explanations where models are trained: callbacks of training loops, and loggers of experiment trackers.

Each name is imported when it is first used, with no more than its own library.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.integrations.keras_callback import KerasExplanations
    from seewhy.integrations.lightning_callback import LightningExplanations
    from seewhy.integrations.mlflow_tracker import MLflow
    from seewhy.integrations.tensorboard_tracker import TensorBoard
    from seewhy.integrations.tracker import Tracker
    from seewhy.integrations.wandb_tracker import WeightsAndBiases

__all__ = ["KerasExplanations", "LightningExplanations", "MLflow", "TensorBoard", "Tracker", "WeightsAndBiases"]

_MODULES = {
    "KerasExplanations": "keras_callback",
    "LightningExplanations": "lightning_callback",
    "MLflow": "mlflow_tracker",
    "TensorBoard": "tensorboard_tracker",
    "Tracker": "tracker",
    "WeightsAndBiases": "wandb_tracker",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'seewhy.integrations' has no attribute {name!r}")
    return getattr(importlib.import_module(f"seewhy.integrations.{_MODULES[name]}"), name)
