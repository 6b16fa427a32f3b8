"""What the viewer reads of an explanation. `seewhy.Explanation` has all of it."""

from collections.abc import ItemsView, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from seewhy.images.geometry import Placement
from seewhy.models import Prediction
from seewhy.types import FloatArray, ImageArray


class TargetLike(Protocol):
    """One explained target, as the viewer reads it."""

    @property
    def index(self) -> int:
        """The class index, or -1 for a target that is not a class."""

    @property
    def name(self) -> str:
        """The class name, or a description of the target."""

    @property
    def score(self) -> float:
        """The explained score: a logit or a probability."""

    @property
    def probability(self) -> float | None:
        """The probability in 0..1, or None for a target that is not a class."""

    @property
    def has_evidence(self) -> bool:
        """Whether the heatmap has any positive value."""

    @property
    def check(self) -> str:
        """What the check of the heatmap says, in words; empty without one."""

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """(left, top, right, bottom) of a detection, in pixels of the image; None for any other target."""


class ExplanationLike(Protocol):
    """The explanation of one image by one model, method and layer, as the viewer reads it."""

    @property
    def image(self) -> ImageArray:
        """The image, uint8 (H, W, 3)."""

    @property
    def heatmaps(self) -> FloatArray:
        """The raw heatmaps, float32 (T, u, v)."""

    @property
    def targets(self) -> Sequence[TargetLike]:
        """The T targets, in the order of the heatmaps."""

    @property
    def predictions(self) -> Sequence[Prediction]:
        """Every class, most probable first; empty if the outputs are not class scores."""

    @property
    def layer(self) -> str:
        """The path of the explained layer."""

    @property
    def method(self) -> str:
        """The name of the method."""

    @property
    def title(self) -> str:
        """The name of the method as figures show it."""

    @property
    def placement(self) -> Placement:
        """Where the model's input lies on the image."""

    @property
    def model(self) -> str | None:
        """The name of the model, if it has one."""

    @property
    def source(self) -> str | None:
        """The path the image was read from, if it was read from a file."""

    @property
    def peak_quantile(self) -> float:
        """The quantile of a heatmap that is drawn as 1; 1.0 is its maximum."""


@runtime_checkable
class SampleLike(Protocol):
    """The explanation of one sample of a model with several inputs, as the viewer reads it."""

    @property
    def other_inputs(self) -> Mapping[str, Any]:
        """The inputs that are no images, by name."""

    def items(self) -> ItemsView[str, ExplanationLike]:
        """Return the explanation of each image by the name of its input; all have the same targets."""
