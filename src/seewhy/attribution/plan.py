"""The plan of an attribution: how heatmaps are made, decided before the model runs."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Literal, final

from seewhy import methods as all_methods
from seewhy.attribution.augmentation import Augmentation
from seewhy.attribution.perturbation_runner import ProgressCallback
from seewhy.attribution.target_chunks import takes_chunks
from seewhy.frameworks import Framework, LayerChoice
from seewhy.frameworks.layers import INPUT
from seewhy.frameworks.structures import InputBatch, shape_key
from seewhy.frameworks.tokens import TokenGrid
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.targets import Objective
from seewhy.types import Derivatives, Fuse

Strategy = Literal["capture", "chunks", "perturbations", "attention"]
"""How raw heatmaps are made: from one capture; from the closed form or from one capture per chunk of the targets; from
many runs of the model on perturbations of each image; or from a capture of all attention layers."""


@final
@dataclass(frozen=True)
class Plan:
    """What is tapped and how heatmaps are made of it, for one model, shape of input, layers and kind of objective.

    An `Explainer` makes each plan once and reuses it. A plan holds decisions, and nothing of the model's state: which
    modules and buffers have to be restored is found anew in every run, because a user may replace a layer between two
    calls (decision 0006).

    Attributes:
        classifier: The model with its class names.
        framework: Runs the model.
        method: Makes heatmaps of a capture.
        method_reason: Why `method="auto"` chose it; empty where the caller named it.
        layers: The layers that are explained.
        strategy: How the heatmaps are made.
        derivatives: What the first run of the model computes.
        fuse: How the heatmaps of several layers are fused.
        augmentations: The flipped and scaled inputs whose heatmaps are averaged with those of the input itself.
        batch_size: How many perturbations run at once.
        progress: Shows or reports the progress of a method that runs the model many times.
        tokens: How the tokens of a layer lie on the image; None to find it out.
    """

    classifier: Classifier
    framework: Framework
    method: Method
    method_reason: str
    layers: tuple[LayerChoice, ...]
    strategy: Strategy
    derivatives: Derivatives
    fuse: Fuse
    augmentations: tuple[Augmentation, ...]
    batch_size: int
    progress: bool | ProgressCallback
    tokens: TokenGrid | None = None

    def tap(self, layer: LayerChoice) -> LayerChoice:
        """Return where the model is tapped to explain a layer: there, or at its input for a method of that level."""
        return layer if self.method.level == "layer" else LayerChoice(INPUT)

    def without_augmentation(self) -> "Plan":
        """Return the plan of one augmented input."""
        return replace(self, augmentations=())


def strategy_for(method: Method, objective: Objective) -> Strategy:
    """Choose how raw heatmaps are made."""
    if method.family == "attention":
        return "attention"
    if method.needs_runner:
        return "perturbations"
    return "chunks" if takes_chunks(method, objective) else "capture"


def first_derivatives(method: Method, strategy: Strategy) -> Derivatives:
    """Return what the first run computes; the chunks share a run that computes the closed form or no gradients."""
    if strategy != "chunks":
        return method.derivatives
    return "closed_form" if method.has_closed_form else "none"


def gradcam_plan(plan: Plan) -> Plan:
    """Return the plan of one capture for Grad-CAM."""
    return replace(
        plan, method=all_methods.get("gradcam"), method_reason="", strategy="capture", derivatives="gradients"
    )


def plan_key(inputs: InputBatch, objective: Objective, batch_size: int) -> Hashable:
    """Return what a plan depends on besides its explainer."""
    target = objective.target
    return (shape_key(inputs), type(target), target.target_count, batch_size)
