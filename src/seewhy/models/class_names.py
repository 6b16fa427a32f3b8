"""What a model's classes are called, and which class a name means."""

import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import numpy as np

from seewhy.errors import TargetError, did_you_mean


class ClassNames(Sequence[str]):
    """The classes' names in the order of the model's outputs.

    Args:
        names: One name for each class.
        ids: A second, unique word for each class, such as ImageNet's wnids.
        synonyms: All names of each class, where it has more than the one in `names`.

    Raises:
        TargetError: `ids` or `synonyms` are not as many as `names`.
    """

    def __init__(
        self, names: Sequence[str], *, ids: Sequence[str] | None = None, synonyms: Sequence[Sequence[str]] | None = None
    ) -> None:
        self._names = tuple(str(name) for name in names)
        self.ids = tuple(ids) if ids is not None else None
        self.synonyms = tuple(map(tuple, synonyms)) if synonyms is not None else None
        for what, given in (("ids", ids), ("synonyms", synonyms)):
            if given is not None and len(given) != len(self._names):
                raise TargetError(f"There are {len(self._names)} class names and {len(given)} {what}.")
        self._by_name = _index(((name,) for name in self._names), ids)
        self._by_synonym = _index(synonyms if synonyms is not None else (), None)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:  # a name; for a slice, a tuple of names
        return self._names[index]

    def find(self, query: int | str) -> int:
        """Return the index of the class that is meant.

        Args:
            query: An index (also as text), an id, or a name; upper and lower case, "_" and "-" make no difference.
                A name that is some class's first one means that class, whatever it is a synonym of.

        Raises:
            TargetError: No class is meant, or more than one could be.
        """
        if isinstance(query, (int, np.integer)):
            if not 0 <= query < len(self):
                raise TargetError(f"There is no class {query}: the model has classes 0 to {len(self) - 1}.")
            return int(query)
        found = self._by_name.get(_folded(query), set()) or self._by_synonym.get(_folded(query), set())
        if query.strip().isdecimal() and int(query) < len(self):
            found = found | {int(query)}
        if len(found) > 1:
            each = ", ".join(f"{index} ({self.label(index)})" for index in sorted(found))
            raise TargetError(f"{len(found)} classes could be meant by {query!r}: {each}. Give the index.")
        if not found:
            near = did_you_mean(query, {**self._by_name, **self._by_synonym})
            raise TargetError(
                f"There is no class {query!r}.{near} A class is an index (0 to {len(self) - 1}) or a name."
            )
        return next(iter(found))

    def label(self, index: int) -> str:
        """Return the name, with the id where there is one: for when a name alone does not tell."""
        return self._names[index] if self.ids is None else f"{self._names[index]}, {self.ids[index]}"


@functools.cache
def imagenet() -> ClassNames:
    """The 1,000 classes of ImageNet (ILSVRC 2012), with wnids and all synonyms."""
    content = resources.files("seewhy.models").joinpath("data/imagenet_1k.json").read_text(encoding="utf-8")
    wnids, names = zip(*json.loads(content), strict=True)
    synonyms = [[name.strip() for name in each.split(",")] for each in names]
    return ClassNames([each[0] for each in synonyms], ids=wnids, synonyms=synonyms)


def _index(names: Iterator[Sequence[str]] | Sequence[Sequence[str]], ids: Sequence[str] | None) -> dict[str, set[int]]:
    """Return which classes each folded name (and id) may mean."""
    found: dict[str, set[int]] = defaultdict(set)
    for index, each in enumerate(names):
        for name in each:
            found[_folded(name)].add(index)
    for index, name in enumerate(ids or ()):
        found[_folded(name)].add(index)
    return dict(found)


def _folded(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
