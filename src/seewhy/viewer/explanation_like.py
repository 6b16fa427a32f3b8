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


class ExplainedLike(Protocol):
    """Explained targets of an image or a recording by one model, method and layer, as the viewer reads them.

    Of an image they are an `ExplanationLike`, of a volume or a video `FramesLike`, and of a signal `SignalLike`.
    """

    @property
    def noun(self) -> str:
        """What was explained: "image", "volume", "video" or "signal"."""

    @property
    def heatmaps(self) -> FloatArray:
        """The raw heatmaps, float32 (T, *space)."""

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
    def model(self) -> str | None:
        """The name of the model, if it has one."""

    @property
    def source(self) -> str | None:
        """The path it was read from, if it was read from a file."""

    @property
    def peak_quantile(self) -> float:
        """The quantile of a heatmap that is drawn as 1; 1.0 is its maximum."""

    def _repr_html_(self) -> str:
        """Return what a notebook shows without a widget."""


class ExplanationLike(ExplainedLike, Protocol):
    """The explanation of one image, whose heatmaps are float32 (T, u, v)."""

    @property
    def image(self) -> ImageArray:
        """The image, uint8 (H, W, 3)."""

    @property
    def placement(self) -> Placement:
        """Where the model's input lies on the image."""


class GridLike(Protocol):
    """Where heatmaps lie on a recording."""

    @property
    def size(self) -> tuple[int, ...]:
        """The size of the recording along each axis."""

    @property
    def extents(self) -> tuple[tuple[float, float], ...]:
        """The edges (start, stop) between which the heatmaps lie on each axis."""


class SignalValues(Protocol):
    """A signal."""

    @property
    def samples(self) -> FloatArray:
        """float32 (L, C)."""

    @property
    def rate(self) -> float | None:
        """The number of samples in a second, if it is known."""


class FramesLike(ExplainedLike, Protocol):
    """The explanation of one volume or one video, whose heatmaps are float32 (T, d, u, v)."""

    @property
    def recording(self) -> object:
        """What was explained."""

    @property
    def placement(self) -> GridLike:
        """Where the heatmaps lie on it."""

    @property
    def frame_seconds(self) -> float:
        """How long a frame is shown when it is played."""

    def axis_name(self, axis: int) -> str:
        """Return what the frames across an axis are called."""

    def frame_count(self, axis: int = 0) -> int:
        """Return the number of frames across an axis."""

    def frame(self, position: int, axis: int = 0) -> ImageArray:
        """Return a frame, uint8 (H, W, 3)."""

    def frame_label(self, position: int, axis: int = 0) -> str:
        """Return what stands above a frame."""

    def frame_placement(self, axis: int = 0) -> Placement:
        """Return where the heatmaps lie on a frame."""

    def heatmap_planes(self, axis: int = 0) -> FloatArray:
        """Return the raw heatmaps as planes across an axis, float32 (T, d, u, v), arranged as the frames are."""

    def strongest_frame(self, target: int = 0, axis: int = 0) -> int:
        """Return the number of the frame through the maximum of a heatmap."""


class SignalLike(ExplainedLike, Protocol):
    """The explanation of one signal, whose heatmaps are float32 (T, u)."""

    @property
    def signal(self) -> SignalValues:
        """Its values."""

    @property
    def placement(self) -> GridLike:
        """Where the heatmaps lie on it."""


@runtime_checkable
class SampleLike(Protocol):
    """The explanation of one sample of a model with several inputs, as the viewer reads it."""

    @property
    def other_inputs(self) -> Mapping[str, Any]:
        """The inputs that are no images, by name."""

    def items(self) -> ItemsView[str, ExplanationLike]:
        """Return the explanation of each image by the name of its input; all have the same targets."""

    def _repr_jpeg_(self) -> bytes:
        """Return what a notebook shows without a widget."""
