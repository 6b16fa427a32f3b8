"""The layout of attention maps: from the axes of a softmax to (N, H, Lq, Lk), or with axes for windows before H."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from seewhy.frameworks.attention_maps import AttentionMap
from seewhy.frameworks.layers import UNEVEN, no_attention
from seewhy.types import Namespace, NativeTensor

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

    def map(self, softmax: NativeTensor, xp: Namespace) -> NativeTensor:
        """Return a map (M, H, Lq, Lk); M is a multiple of the number of images, see `separate_images`."""
        return self._laid_out(softmax, 0, xp)

    def gradients(self, gradients: NativeTensor, xp: Namespace) -> NativeTensor:
        """Return gradients (T, ...) of a softmax's result as (M, T, H, Lq, Lk)."""
        return xp.swapaxes(self._laid_out(gradients, 1, xp), 0, 1)

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

    def _laid_out(self, tensor: NativeTensor, leading: int, xp: Namespace) -> NativeTensor:
        axes = [self.images, *(axis for part in self.following for axis in part)]
        order = [*range(leading), *(leading + axis for axis in axes)]
        if order != sorted(order):
            tensor = xp.transpose(tensor, order)
        if all(len(part) == 1 for part in self.following):
            return tensor
        sizes = list(xp.shape(tensor))
        parts, sizes = sizes[: leading + 1], sizes[leading + 1 :]
        for part in self.following:
            parts.append(prod(sizes[: len(part)]))
            del sizes[: len(part)]
        return xp.reshape(tensor, parts)


def separate_images(
    tensors: Sequence[NativeTensor], layouts: Sequence[MapLayout], images: int, xp: Namespace, *, targets: bool = False
) -> tuple[NativeTensor, ...]:
    """Return maps (M, H, Lq, Lk), or their gradients (M, T, H, Lq, Lk), with N images for M.

    Raises:
        LayerError: M is no multiple of N.
    """
    return tuple(
        _separate(tensor, layout, images, 2 if targets else 1, xp)
        for tensor, layout in zip(tensors, layouts, strict=True)
    )


def _separate(tensor: NativeTensor, layout: MapLayout, images: int, first: int, xp: Namespace) -> NativeTensor:
    """Move windows or attention heads from the axis of the images to where those of a map begin, at `first`.

    They are taken to follow each other for every image.
    """
    count, *sizes = tensor.shape
    if count == images:
        return tensor
    shape = layout.shape((count, *sizes[first - 1 :]), images)
    parts = xp.reshape(tensor, (images, count // images, *sizes))
    return xp.reshape(xp.moveaxis(parts, 1, first), (images, *sizes[: first - 1], *shape))


def images_axis(attention: AttentionMap, sizes: Sequence[int | None], images: int) -> int | None:
    """Return the axis of the images: the only one of unknown size; of a fixed batch, the first multiple of it.

    None where there is no such axis, or where several have an unknown size.

    Args:
        attention: The map.
        sizes: The shape of its softmax's result.
        images: The number of images, N.
    """
    unknown = [axis for axis in attention.others if sizes[axis] is None]
    fixed = [axis for axis in attention.others if (size := sizes[axis]) is not None and size % images == 0]
    return None if len(unknown) > 1 or not unknown + fixed else (unknown or fixed)[0]


def joined_gradients(gradients: Sequence[NativeTensor], xp: Namespace) -> NativeTensor:
    """Return gradients (N, T, H, Lq, Lk) of several maps in one tensor, (N, T, all of them)."""
    return xp.concatenate([xp.reshape(part, (*part.shape[:2], -1)) for part in gradients], axis=2)


def separate_gradients(joined: NativeTensor, maps: Sequence[NativeTensor], xp: Namespace) -> tuple[NativeTensor, ...]:
    """Return the gradients (N, T, H, Lq, Lk) of each map, of (N, T, all of them)."""
    parts, start = [], 0
    for each in maps:
        shape = tuple(each.shape[1:])
        part = joined[:, :, start : start + prod(shape)]
        parts.append(xp.reshape(part, (*joined.shape[:2], *shape)))
        start += prod(shape)
    return tuple(parts)
