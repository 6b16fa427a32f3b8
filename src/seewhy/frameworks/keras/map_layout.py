"""The layout of attention maps: from the axes of a softmax to (N, H, Lq, Lk), or with axes for windows before H."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import keras

from seewhy.frameworks.keras.attention_maps import AttentionMap
from seewhy.frameworks.layers import UNEVEN, no_attention
from seewhy.types import NativeTensor

Axes = tuple[int, ...]


class MapLayout(NamedTuple):
    """How a softmax's result becomes a map.

    Attributes:
        images: The axis of the softmax's result that is that of the images; windows or attention heads may be
            folded into it, after the images.
        following: The axes that become one each: of windows, of attention heads, of queries, of keys.
        folds_heads: Whether it is attention heads that may be folded into the axis of the images: there is no axis for
            them.
    """

    images: int
    following: tuple[Axes, ...]
    folds_heads: bool

    @classmethod
    def of(cls, attention: AttentionMap, images: int) -> "MapLayout":
        """Return the layout of a map whose axis `images` is that of the images."""
        others = tuple(axis for axis in attention.others if axis != images)
        windows, heads = others[:-1], (*others[-1:], *attention.groups)
        following = (*((axis,) for axis in windows), heads, attention.queries, attention.keys)
        return cls(images, following, folds_heads=not others)

    def map(self, softmax: NativeTensor) -> NativeTensor:
        """Return a map (M, H, Lq, Lk); M is a multiple of the number of images, see `separate_images`."""
        return self._laid_out(softmax, 0)

    def gradients(self, gradients: NativeTensor) -> NativeTensor:
        """Return gradients (T, ...) of a softmax's result as (M, T, H, Lq, Lk)."""
        return keras.ops.swapaxes(self._laid_out(gradients, 1), 0, 1)

    def shape(self, sizes: tuple[int, ...], images: int) -> tuple[int, ...]:
        """Return the shape (H, Lq, Lk) of one image's map, for a result of `map` with these sizes.

        Raises:
            LayerError: Its first axis is no multiple of the number of images.
        """
        per_image, left = divmod(sizes[0], images)
        if left:
            raise no_attention(UNEVEN)
        if self.folds_heads:
            return (per_image * sizes[1], *sizes[2:])
        return sizes[1:] if per_image == 1 else (per_image, *sizes[1:])

    def _laid_out(self, tensor: NativeTensor, leading: int) -> NativeTensor:
        axes = [self.images, *(axis for part in self.following for axis in part)]
        order = [*range(leading), *(leading + axis for axis in axes)]
        if order != sorted(order):
            tensor = keras.ops.transpose(tensor, order)
        if all(len(part) == 1 for part in self.following):
            return tensor
        sizes = list(keras.ops.shape(tensor))
        parts, sizes = sizes[: leading + 1], sizes[leading + 1 :]
        for part in self.following:
            parts.append(prod(sizes[: len(part)]))
            del sizes[: len(part)]
        return keras.ops.reshape(tensor, parts)


def separate_images(
    tensors: Sequence[NativeTensor], layouts: Sequence[MapLayout], images: int, *, targets: bool = False
) -> tuple[NativeTensor, ...]:
    """Return maps (M, H, Lq, Lk), or their gradients (M, T, H, Lq, Lk), with N images for M.

    Raises:
        LayerError: M is no multiple of N.
    """
    return tuple(
        _separate(tensor, layout, images, 2 if targets else 1) for tensor, layout in zip(tensors, layouts, strict=True)
    )


def _separate(tensor: NativeTensor, layout: MapLayout, images: int, first: int) -> NativeTensor:
    """Move windows or attention heads from the axis of the images to where those of a map begin, at `first`.

    They are taken to follow each other for every image.
    """
    count, *sizes = tensor.shape
    if count == images:
        return tensor
    shape = layout.shape((count, *sizes[first - 1 :]), images)
    parts = keras.ops.reshape(tensor, (images, count // images, *sizes))
    return keras.ops.reshape(keras.ops.moveaxis(parts, 1, first), (images, *sizes[: first - 1], *shape))
