"""What modules below the classifier read of it."""

from collections.abc import Callable
from typing import Any, Protocol

from seewhy.frameworks import Framework
from seewhy.models.class_names import ClassNames
from seewhy.models.preprocessing import Preprocessing
from seewhy.types import FloatArray


class ClassifierSettings(Protocol):
    """The part of a `Classifier` that preprocessing its inputs and writing it need."""

    model: Any
    framework: Framework
    name: Any
    preprocessing: Preprocessing | None
    preprocess_by_input: dict[str, Preprocessing | Callable[[FloatArray], Any]]
    size_by_input: dict[str, tuple[int, int]]
    class_names: ClassNames | None
    layer: str | None
    sample_rate: float | None

    @property
    def finish(self) -> Callable[[FloatArray], Any] | None:
        """The function that was given for all inputs."""

    @property
    def given_size(self) -> tuple[int, ...] | None:
        """The size that was given for all inputs."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(h, w) of the model's one input, in pixels."""
