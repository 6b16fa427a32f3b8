"""Tokens: the positions of a transformer's layers, (N, L, K), as a grid on the image, (N, h, w, K).

A vision transformer cuts the image into patches and lists them row by row. Before or after them it may list tokens that
belong to no patch: a class token, a distillation token, registers.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from seewhy.errors import OptionError, short_repr
from seewhy.representation import ShortRepr
from seewhy.types import FloatArray, Namespace, Tensor

MAX_TOKENS = 2**31 - 1
"""The maximum of a size of a grid, and of the number of tokens beside it."""


@final
@dataclass(frozen=True, repr=False)
class TokenGrid(ShortRepr):
    """How a layer's tokens lie on the image: row by row, between tokens that belong to no patch.

    Args:
        grid: (h, w), the number of patches along the image's height and width.
        prefix: The number of tokens before the patches, such as a class token and registers.
        suffix: The number of tokens after the patches.

    Raises:
        OptionError: A size is not a whole number in its range.
    """

    grid: tuple[int, int]
    prefix: int = 0
    suffix: int = 0

    def __post_init__(self) -> None:
        grid = self.grid
        if (
            isinstance(grid, str)
            or not isinstance(grid, (list, tuple))
            or len(grid) != 2
            or not all(map(_is_size, grid))
        ):
            raise OptionError(
                f"TokenGrid takes grid=(h, w), the number of patches along the image's height and width; given "
                f"{short_repr(grid)}."
            )
        for name in ("prefix", "suffix"):
            value = getattr(self, name)
            if not _is_integer(value) or not 0 <= value <= MAX_TOKENS:
                raise OptionError(
                    f"TokenGrid: {name} is {short_repr(value)}; expected the number of tokens that belong to no patch, "
                    "0 or more."
                )
            object.__setattr__(self, name, int(value))
        object.__setattr__(self, "grid", (int(grid[0]), int(grid[1])))

    @property
    def patches(self) -> int:
        """The number of tokens that are patches of the image."""
        return math.prod(self.grid)

    @property
    def tokens(self) -> int:
        """The number of all tokens, L."""
        return self.prefix + self.patches + self.suffix

    def fold(self, tensor: Tensor, axis: int, xp: Namespace) -> Tensor:
        """Return a tensor with its token axis, of size L, as two axes (h, w); the other tokens are left out."""
        shape = tuple(tensor.shape)
        index = (*(slice(None),) * axis, slice(self.prefix, self.prefix + self.patches))
        folded: Tensor = xp.reshape(tensor[index], (*shape[:axis], *self.grid, *shape[axis + 1 :]))
        return folded


def unfold_tokens(images: FloatArray, prefix: FloatArray, suffix: FloatArray) -> FloatArray:
    """Undo `TokenGrid.fold` for perturbations of one image.

    Args:
        images: (M, h, w, K).
        prefix: (prefix, K), the tokens of the image before the patches, which every perturbation keeps.
        suffix: (suffix, K), those after them.

    Returns:
        (M, L, K).
    """
    count, *_, channels = images.shape
    before, after = (np.broadcast_to(tokens, (count, *tokens.shape)) for tokens in (prefix, suffix))
    return np.concatenate([before, images.reshape(count, -1, channels), after], axis=1)


@final
@dataclass(frozen=True)
class TokenFacts:
    """What the layers of a model say about its tokens. A model may have several parts that differ.

    Attributes:
        prefixes: The numbers of tokens before the patches.
        suffixes: The numbers of tokens after the patches.
        grids: The numbers of patches, (h, w), for the size of input that the model was made for.
        patches: The sizes of a patch, (h, w), in pixels.
    """

    prefixes: frozenset[int] = frozenset()
    suffixes: frozenset[int] = frozenset()
    grids: frozenset[tuple[int, int]] = frozenset()
    patches: frozenset[tuple[int, int]] = frozenset()


PREFIXES = ("num_prefix_tokens", "num_class_tokens")
"""The attributes in which timm and KerasHub say how many tokens precede the patches."""

REGISTERS = "num_register_tokens"
"""The option in which Hugging Face says how many registers there are; a class token may precede them."""

SUFFIXES = ("num_detection_tokens",)
"""The option in which Hugging Face says how many tokens follow the patches."""


def token_facts(layers: Iterable[Any]) -> TokenFacts:
    """Read what layers, and their options in `config`, say about tokens."""
    prefixes, suffixes, grids, patches = set[int](), set[int](), set[tuple[int, int]](), set[tuple[int, int]]()
    for source in _sources(layers):
        prefixes.update(value for value in _numbers(source, PREFIXES) if value >= 0)
        suffixes.update(value for value in _numbers(source, SUFFIXES) if value >= 0)
        for registers in _numbers(source, (REGISTERS,)):
            prefixes.update({registers, registers + 1})
        grids.update(_pairs(source, "grid_size"))
        patches.update(_pairs(source, "patch_size"))
    return TokenFacts(frozenset(prefixes), frozenset(suffixes), frozenset(grids), frozenset(patches))


def _sources(layers: Iterable[Any]) -> Iterator[Any]:
    """Yield every layer, and every object of options that one has."""
    known: set[int] = set()
    for layer in layers:
        for source in (layer, getattr(layer, "config", None)):
            if source is not None and id(source) not in known:
                known.add(id(source))
                yield source


def _numbers(source: Any, names: Iterable[str]) -> list[int]:
    values: list[Any] = [getattr(source, name, None) for name in names]
    return [int(value) for value in values if _is_integer(value)]


def _pairs(source: Any, name: str) -> list[tuple[int, int]]:
    """Return an attribute that is (h, w), or one number for both, in a list; an empty list for any other."""
    value = getattr(source, name, None)
    sizes = (value, value) if _is_integer(value) else value
    if not isinstance(sizes, (list, tuple)) or len(sizes) != 2 or not all(map(_is_size, sizes)):
        return []
    return [(int(sizes[0]), int(sizes[1]))]


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return _is_integer(value) and 1 <= value <= MAX_TOKENS
