"""Turn images into a model's input, and record which part of each image it shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy import timing
from seewhy.errors import ModelError
from seewhy.images.geometry import Placement
from seewhy.images.resizing import resize_image
from seewhy.representation import ShortRepr, counted, description, shape_text
from seewhy.timing import Phase
from seewhy.types import FloatArray, ImageArray

Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "linear"]
MAX_SIDE = 8192
MAX_AREA = MAX_SIDE**2 // 4
"""Pixels of a model's input. An image of this size has 200 MB in float32."""

CHANNELS = (1, 3, 4)
"""The numbers of channels that images have."""


def is_input_size(height: int, width: int) -> bool:
    """Whether a model's input may have this size, in pixels."""
    return 1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and height * width <= MAX_AREA


@dataclass(frozen=True, repr=False)
class Inputs:
    """A batch for the model, and the part of each image that it shows.

    Attributes:
        values: float32 (N, h, w, 3), or (N, h, w, 1) for grey; (N, 3, h, w) for a model that takes channels first.
        placements: One for each image.
    """

    values: FloatArray
    placements: tuple[Placement, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return description(self, f"of {counted(len(self), 'image')}: {shape_text(self.values)}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `values`."""
        return self.values.shape


@dataclass(frozen=True, repr=False)
class Preprocessing(ShortRepr):
    """Crop, resize and scale images: `(resized - mean) / std`, then `finish`.

    Attributes:
        size: (h, w) of the model's input, in pixels.
        crop: The size of the centre crop, as a fraction of the largest crop of the input's aspect ratio that fits into
            the image; None resizes the whole image to `size` without keeping its aspect ratio.
        resize: The size (h, w) to which the whole image is resized before the input is cut out of its centre, on whole
            pixels of the resized image; one number is the size of its shorter side. An input that is larger than the
            resized image is black beyond it. None resizes the crop.
        resample: The filter for resizing. All filters average when shrinking, but for "linear", which interpolates
            between the four nearest pixels, as OpenCV's `INTER_LINEAR`.
        mean: Subtracted from values in 0..255; one number, or three for R, G, B.
        std: The divisor of the difference; one number, or three for R, G, B.
        finish: A function for a last step, from float32 (N, h, w, 3) to the model's input, such as `preprocess_input`
            of `keras.applications.vgg16`. It may work in place. It must not move pixels. It may return (N, h, w, C), or
            (N, C, h, w) if the model takes channels first.
        letterbox: The value, in 0..255, of the border that is put around an image which is resized, with the ratio of
            its sides, until it just fits into `size`; it lies in the middle. None resizes as `crop` and `resize` say.
        channels_first: True returns (N, 3, h, w); the transposition is the last step, unless `finish` did it. A
            `Classifier` sets it if the framework or the input shape of its model requires it.
        grey: True returns one channel instead of three, the brightness of each pixel (ITU-R 601-2); `mean` and `std`
            must then be one number each.

    Raises:
        ModelError: `grey` is True, and `mean` or `std` has three numbers; `size` is not that of an input; or more than
            one of `crop`, `resize` and `letterbox` is given.
    """

    size: tuple[int, int]
    crop: float | None = None
    resample: Resample = "bilinear"
    mean: float | tuple[float, float, float] = 0.0
    std: float | tuple[float, float, float] = 1.0
    finish: Callable[[FloatArray], Any] | None = None
    channels_first: bool = False
    grey: bool = False
    resize: int | tuple[int, int] | None = None
    letterbox: float | None = None

    def __post_init__(self) -> None:
        self._check_resize()
        self._check_letterbox()
        if not is_input_size(*self.size):
            raise ModelError(
                f"The input size is {self.size[0]} x {self.size[1]} pixels; expected sides from 1 to {MAX_SIDE:,} and "
                f"at most {MAX_AREA:,} pixels."
            )
        if self.grey and not (np.ndim(self.mean) == np.ndim(self.std) == 0):
            raise ModelError(
                f"grey images have one channel, and mean is {self.mean}, std {self.std}; expected one number each."
            )

    def _check_resize(self) -> None:
        if self.resize is None:
            return
        sides = (self.resize, self.resize) if isinstance(self.resize, int) else self.resize
        if not is_input_size(*sides):
            raise ModelError(
                f"resize is {self.resize}; expected sides from 1 to {MAX_SIDE:,}, and at most {MAX_AREA:,} pixels."
            )
        if self.crop is not None:
            raise ModelError(
                f"Given crop={self.crop} and resize={self.resize}: both say which part of the image is the input. Give "
                "one of them."
            )

    def _check_letterbox(self) -> None:
        if self.letterbox is None:
            return
        if isinstance(self.letterbox, bool) or not 0 <= self.letterbox <= 255:
            raise ModelError(
                f"letterbox is {self.letterbox}; expected the value of the border, in 0..255, such as 114."
            )
        if self.crop is not None or self.resize is not None:
            raise ModelError(
                f"Given letterbox={self.letterbox}, crop={self.crop} and resize={self.resize}: each says which part of "
                "the image is the input. Give one of them."
            )

    def with_size(self, size: tuple[int, int]) -> "Preprocessing":
        """Return the same preprocessing for inputs of another size, which show the same part of an image.

        Args:
            size: (h, w) in pixels.
        """
        scales = [new / old for new, old in zip(size, self.size, strict=True)]
        if self.resize is None:
            return replace(self, size=size)
        if isinstance(self.resize, int):
            return replace(self, size=size, resize=round(self.resize * max(scales)))
        height, width = (round(side * scale) for side, scale in zip(self.resize, scales, strict=True))
        return replace(self, size=size, resize=(height, width))

    @timing.phase(Phase.PREPROCESSING)
    def __call__(self, images: Sequence[ImageArray]) -> Inputs:
        """Preprocess images, each uint8 (H, W, 3), of any size."""
        placements = tuple(Placement((image.shape[0], image.shape[1]), self._crop_box(image)) for image in images)
        resized = [self._resize(image, placement) for image, placement in zip(images, placements, strict=True)]
        values = self._scaled(resized)
        if self.finish is not None:
            values = np.asarray(self.finish(values), dtype=np.float32)
            self._check_count(values, len(images))
        if self.channels_first and not self._is_channels_first(values):
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return Inputs(values, placements)

    def _scaled(self, images: Sequence[ImageArray]) -> FloatArray:
        """Return `(images - mean) / std`, (N, h, w, C); the channels are first in memory if they will be for the model.

        Each channel is scaled by itself: along an axis of three channels, NumPy takes three times as long.
        """
        height, width, channels = images[0].shape
        mean, std = (np.broadcast_to(np.asarray(each, np.float32), channels) for each in (self.mean, self.std))
        if self.channels_first and self.finish is None:
            values = np.empty((len(images), channels, height, width), np.float32).transpose(0, 2, 3, 1)
        else:
            values = np.empty((len(images), height, width, channels), np.float32)
        for scaled, image in zip(values, images, strict=True):
            for channel in range(channels):
                plane = image[:, :, channel].astype(np.float32)
                plane -= mean[channel]
                np.divide(plane, std[channel], out=scaled[:, :, channel])
        return values

    def _check_count(self, values: FloatArray, count: int) -> None:
        """Raise ModelError unless `finish` returned a row for each image."""
        if values.ndim == 0 or len(values) != count:
            raise ModelError(
                f"The preprocessing function was given {count} image(s), {(count, *self.size, 1 if self.grey else 3)}, "
                f"and returned the shape {values.shape}; expected a row for each image, as (N, h, w, C)."
            )

    def _is_channels_first(self, values: FloatArray) -> bool:
        """Whether `finish` returned what a model takes that takes channels first, and the axes stay where they are.

        Raises:
            ModelError: The layout of the images that it returned cannot be told.
        """
        if values.ndim != 4:
            return True  # not images, such as the rows of a table
        if values.shape[1:3] == tuple(self.size):
            return False
        if values.shape[2:] == tuple(self.size):
            return True
        is_first, is_last = values.shape[1] in CHANNELS, values.shape[3] in CHANNELS
        if is_first == is_last:
            raise ModelError(
                f"The preprocessing function returned the shape {values.shape} for images of {self.size[0]} x "
                f"{self.size[1]} pixels; expected (N, h, w, C), or (N, C, h, w)."
            )
        return is_first

    def _crop_box(self, image: ImageArray) -> tuple[float, float, float, float]:
        height, width = image.shape[:2]
        if self.letterbox is not None:
            rows, columns, first, start = self._letterboxed(height, width)
            down, across = height / rows, width / columns
            bottom, right = (self.size[0] - first) * down, (self.size[1] - start) * across
            return (-first * down, -start * across, bottom, right)
        if self.resize is not None:
            (rows, columns), (first, start) = self._resized_size(height, width), self._corner(height, width)
            down, across = height / rows, width / columns
            return (first * down, start * across, (first + self.size[0]) * down, (start + self.size[1]) * across)
        if self.crop is None:
            return (0.0, 0.0, float(height), float(width))
        # Whole pixels, as in training: a shift of half a pixel changes a probability by some percent.
        scale = self.crop * min(height / self.size[0], width / self.size[1])
        crop_height, crop_width = (max(1, int(side * scale + 1e-6)) for side in self.size)  # 426.999... is 427
        top, left = (height - crop_height) // 2, (width - crop_width) // 2
        return (float(top), float(left), float(top + crop_height), float(left + crop_width))

    def _resize(self, image: ImageArray, placement: Placement) -> ImageArray:
        top, left, bottom, right = placement.box
        source = np.asarray(Image.fromarray(image).convert("L")) if self.grey else image
        if self.letterbox is not None:
            resized = self._bordered(source)
        elif self.resize is not None:
            resized = self._cut(source)
        else:
            resized = self._resampled(source, (self.size[1], self.size[0]), (left, top, right, bottom))
        values = np.asarray(resized)
        return values[..., None] if self.grey else values

    @property
    def _filter(self) -> Image.Resampling:
        return Image.Resampling["BILINEAR" if self.resample == "linear" else self.resample.upper()]

    def _resampled(
        self, source: ImageArray, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
    ) -> Image.Image:
        """Resize a part of an image, (left, top, right, bottom), to a size (width, height)."""
        left, top, right, bottom = box or (0, 0, source.shape[1], source.shape[0])
        if self.resample != "linear":
            return resize_image(source, size, self._filter, (left, top, right, bottom))
        across, down = (right - left) / size[0], (bottom - top) / size[1]
        return Image.fromarray(source).transform(
            size, Image.Transform.AFFINE, (across, 0, left, 0, down, top), Image.Resampling.BILINEAR
        )

    def _letterboxed(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the rows and columns to which an image of this size is resized, and its top and left on the input.

        As Ultralytics rounds them: of an odd number of rows beside the image, one more lies below it.
        """
        scale = min(self.size[0] / height, self.size[1] / width)
        rows, columns = (max(1, round(side * scale)) for side in (height, width))
        return (rows, columns, round((self.size[0] - rows) / 2 - 0.1), round((self.size[1] - columns) / 2 - 0.1))

    def _bordered(self, source: ImageArray) -> Image.Image:
        """Resize an image until it fits, and put a border around it."""
        rows, columns, top, left = self._letterboxed(*source.shape[:2])
        value, resized = round(self.letterbox or 0), self._resampled(source, (columns, rows))
        bordered = Image.new(resized.mode, (self.size[1], self.size[0]), (value,) * len(resized.getbands()))
        bordered.paste(resized, (left, top))
        return bordered

    def _resized_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size to which an image of this size is resized, before the input is cut out."""
        if not isinstance(self.resize, int):
            return self.resize or self.size
        longer = int(self.resize * max(height, width) / min(height, width))
        return (longer, self.resize) if width <= height else (self.resize, longer)

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """Return (top, left) of the input on the resized image, in whole pixels; negative where it is larger."""
        rows, columns = self._resized_size(height, width)
        return ((rows - self.size[0]) // 2, (columns - self.size[1]) // 2)

    def _cut(self, source: ImageArray) -> Image.Image:
        """Resize an image, and cut the input out of its centre."""
        height, width = source.shape[:2]
        (rows, columns), (top, left) = self._resized_size(height, width), self._corner(height, width)
        bottom, right = top + self.size[0], left + self.size[1]
        if rows * columns <= MAX_AREA:
            return self._resampled(source, (columns, rows)).crop((left, top, right, bottom))
        # Of an image that is very long, only what the input shows: the whole would fill the memory.
        first, start, last, stop = max(top, 0), max(left, 0), min(bottom, rows), min(right, columns)
        down, across = height / rows, width / columns
        box = (start * across, first * down, min(stop * across, width), min(last * down, height))
        part = self._resampled(source, (stop - start, last - first), box)
        return part.crop((left - start, top - first, right - start, bottom - first))
