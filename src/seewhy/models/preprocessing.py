"""From images to a model's input, remembering where on each image the input lies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy import timing
from seewhy.errors import ModelError
from seewhy.images.geometry import Placement
from seewhy.timing import Phase
from seewhy.types import FloatArray, ImageArray

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Inputs:
    """A batch ready for the model, and where each member lies on its image.

    Attributes:
        values: float32 (N, h, w, 3), or (N, h, w, 1) in grey; (N, 3, h, w) for a model that takes channels first.
        placements: One for each image.
    """

    values: FloatArray
    placements: tuple[Placement, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


@dataclass(frozen=True)
class Preprocessing:
    """Cut, resize and scale images: `(resized - mean) / std`, then `finish`.

    Attributes:
        size: (h, w) of the model's input, in pixels.
        crop: The centred part that is kept, as a fraction of the largest part of the input's shape that fits into
            the image; None squeezes the whole image into `size`.
        resample: How pixels are resized; all of them smooth when shrinking.
        mean: Subtracted from values in 0..255; one number, or one for each of R, G, B.
        std: What the difference is divided by; likewise.
        finish: A last step of your own, float32 (N, h, w, 3) to (N, h, w, 3), such as `preprocess_input` of
            `keras.applications.vgg16`. It may work in place. It must not move pixels.
        channels_first: True gives (N, 3, h, w), after everything else. A `Classifier` sees to it where its model's
            framework or input shape says so.
        grey: True gives one channel for three, the brightness (ITU-R 601-2) of each pixel; `mean` and `std` are then
            one number each.

    Raises:
        ModelError: `grey` is asked for with a mean or std for each of R, G, B.
    """

    size: tuple[int, int]
    crop: float | None = None
    resample: Resample = "bilinear"
    mean: float | tuple[float, float, float] = 0.0
    std: float | tuple[float, float, float] = 1.0
    finish: Callable[[FloatArray], Any] | None = None
    channels_first: bool = False
    grey: bool = False

    def __post_init__(self) -> None:
        if self.grey and not (np.ndim(self.mean) == np.ndim(self.std) == 0):
            raise ModelError(
                f"grey images have one channel, and mean is {self.mean}, std {self.std}; expected one number each."
            )

    @timing.phase(Phase.PREPROCESSING)
    def __call__(self, images: Sequence[ImageArray]) -> Inputs:
        """Preprocess images, uint8 (H, W, 3) each, of any sizes."""
        placements = tuple(Placement((image.shape[0], image.shape[1]), self._box(image)) for image in images)
        resized = [self._resize(image, placement) for image, placement in zip(images, placements, strict=True)]
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values: FloatArray = (np.stack(resized) - mean) / std
        if self.finish is not None:
            values = np.asarray(self.finish(values), dtype=np.float32)
        if self.channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return Inputs(values, placements)

    def _box(self, image: ImageArray) -> tuple[float, float, float, float]:
        height, width = image.shape[:2]
        if self.crop is None:
            return (0.0, 0.0, float(height), float(width))
        # Whole pixels, as the models were trained: half a pixel of shift moves a probability by some percent.
        scale = self.crop * min(height / self.size[0], width / self.size[1])
        kept_height, kept_width = (max(1, int(side * scale + 1e-6)) for side in self.size)  # 426.999... is 427
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        return (float(top), float(left), float(top + kept_height), float(left + kept_width))

    def _resize(self, image: ImageArray, placement: Placement) -> FloatArray:
        top, left, bottom, right = placement.box
        source = Image.fromarray(image)
        resized = (source.convert("L") if self.grey else source).resize(
            (self.size[1], self.size[0]), Image.Resampling[self.resample.upper()], box=(left, top, right, bottom)
        )
        values = np.asarray(resized, dtype=np.float32)
        return values[..., None] if self.grey else values
