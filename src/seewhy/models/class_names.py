"""The names of a model's classes, and how a class is found by name."""

import functools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from seewhy.errors import TargetError, did_you_mean, short_repr
from seewhy.images.text import printable
from seewhy.representation import ShortTuple, counted, description, listed

MAX_DIGITS = 9
"""The maximum number of digits of a class's index."""


class ClassNames(Sequence[str]):
    r"""Class names in the order of the model's outputs.

    Args:
        names: One name for each class; a lone surrogate, which no encoding has, becomes an escape such as `\ud800`.
        ids: A second, unique identifier for each class, such as ImageNet's wnids.
        synonyms: All names of each class, where a class has more than the one in `names`.

    Raises:
        TargetError: `ids` or `synonyms` differ in length from `names`.
    """

    def __init__(
        self, names: Sequence[str], *, ids: Sequence[str] | None = None, synonyms: Sequence[Sequence[str]] | None = None
    ) -> None:
        self._names = tuple(printable(str(name)) for name in names)
        self.ids = ShortTuple(map(printable, ids)) if ids is not None else None
        self.synonyms = ShortTuple(tuple(map(printable, row)) for row in synonyms) if synonyms is not None else None
        for argument, values in (("ids", ids), ("synonyms", synonyms)):
            if values is not None and len(values) != len(self._names):
                raise TargetError(f"There are {len(self._names)} class names and {len(values)} {argument}.")
        self._by_name = _indices_by_name(((name,) for name in self._names), self.ids)
        self._by_synonym = _indices_by_name(self.synonyms if self.synonyms is not None else (), None)
        self._unique_names = tuple(map(self._unique_name, range(len(self._names))))

    def __repr__(self) -> str:
        return description(self, f"of {counted(len(self), 'class')}: {listed(self._names)}")

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: Any) -> Any:  # a name; for a slice, a tuple of names
        return self._names[index]

    def unique_name(self, index: int) -> str:
        """Return the name by which `find` finds this class: "crane (134)" if another class has the same name."""
        return self._unique_names[index]

    def find(self, query: int | str) -> int:
        """Return the index of a class.

        Args:
            query: An index (also as text), an id, a name, what `unique_name` returns, or several names of one class
                separated by commas, as in lists of ImageNet's classes: "tabby, tabby cat". Case, "_" and "-" are
                ignored. The first name of a class takes precedence over a synonym of another class.

        Raises:
            TargetError: No class matches, or more than one does.
        """
        if isinstance(query, (int, np.integer)):
            if not 0 <= query < len(self):
                raise TargetError(f"There is no class {query}: the model has classes 0 to {len(self) - 1}.")
            return int(query)
        matches = self.matches(query)
        if len(matches) > 1:
            labels = ", ".join(f"{index} ({self.label(index)})" for index in sorted(matches))
            unique = self.unique_name(min(matches))
            raise TargetError(f"{query!r} matches {len(matches)} classes: {labels}. Give the index, or {unique!r}.")
        if not matches and re.fullmatch(r"[+-]?\d+", query.strip(), re.ASCII):
            raise TargetError(
                f"There is no class {short_repr(query)}: the model has classes 0 to {len(self) - 1}, and none has this "
                "name."
            )
        if not matches:
            hint = did_you_mean(query, {**self._by_name, **self._by_synonym})
            raise TargetError(
                f"There is no class {query!r}.{hint} A class is an index (0 to {len(self) - 1}) or a name."
            )
        return next(iter(matches))

    def matches(self, query: str) -> set[int]:
        """Return the index of every class that a text names, as in `find`."""
        folded = fold_name(query)
        matches = self._by_name.get(folded, set()) or self._by_synonym.get(folded, set())
        if query.strip().isdecimal() and int(query) < len(self):
            matches = matches | {int(query)}
        return matches or self._numbered(query) or self._listed(query)

    def _unique_name(self, index: int) -> str:
        name = self._names[index]
        others = set(self._by_name[fold_name(name)])
        if name.strip().isdecimal() and len(name) <= MAX_DIGITS and int(name) < len(self):
            others.add(int(name))  # which is the index of another class
        return name if others == {index} else f"{name} ({index})"

    def _numbered(self, query: str) -> set[int]:
        """Return the class of a name with its index in parentheses; an empty set for any other text."""
        numbered = re.fullmatch(r"(.*) \((\d{1,9})\)", query.strip())
        if numbered is None or int(numbered[2]) >= len(self):
            return set()
        index = int(numbered[2])
        return {index} if fold_name(numbered[1]) == fold_name(self._names[index]) else set()

    def _listed(self, query: str) -> set[int]:
        """Return the class whose names a text lists, separated by commas; an empty set for any other text."""
        names = [fold_name(name) for name in query.split(",")]
        if len(names) == 1:
            return set()
        each = [self._by_name.get(name, set()) | self._by_synonym.get(name, set()) for name in names if name]
        common = set.intersection(*each) if each else set()
        # The names of one class may all be names of another class too, which has more: the whole list comes first.
        whole = {index for index in common if self.synonyms and set(map(fold_name, self.synonyms[index])) == set(names)}
        return whole or common

    def all_names(self, index: int) -> tuple[str, ...]:
        """Return every name of a class: its name and, where there are any, its id and its synonyms."""
        identifier = () if self.ids is None else (self.ids[index],)
        return (self._names[index], *identifier, *(self.synonyms[index] if self.synonyms is not None else ()))

    def label(self, index: int) -> str:
        """Return the name and, where there is one, the id: enough to tell classes of the same name apart."""
        return self._names[index] if self.ids is None else f"{self._names[index]}, {self.ids[index]}"


@functools.cache
def imagenet() -> ClassNames:
    """The 1,000 classes of ImageNet (ILSVRC 2012), with wnids and all synonyms."""
    content = resources.files("seewhy.models").joinpath("data/imagenet_1k.json").read_text(encoding="utf-8")
    wnids, descriptions = zip(*json.loads(content), strict=True)
    synonyms = [[name.strip() for name in description.split(",")] for description in descriptions]
    return ClassNames([names[0] for names in synonyms], ids=wnids, synonyms=synonyms)


PLACEHOLDER = re.compile(r"LABEL_\d+")
"""The names that Hugging Face's transformers gives to classes without names."""


def names_of(names: Sequence[str] | None, labels: Mapping[Any, Any] | None) -> ClassNames | None:
    """Return the names that were given, or else those that the model holds, by index."""
    if names is None:
        return named_classes(labels)
    return names if isinstance(names, ClassNames) else ClassNames(names)


def named_classes(labels: Mapping[Any, Any] | None) -> ClassNames | None:
    """Return the class names of a model that holds them by index, as `id2label` of Hugging Face models does.

    Args:
        labels: From index, a number or text, to name.

    Returns:
        The names; None where they are placeholders, or are not one for each index from 0.
    """
    by_index = {str(index): str(name) for index, name in (labels or {}).items()}
    names = [by_index.get(str(index), "") for index in range(len(by_index))]
    if not all(names) or any(map(PLACEHOLDER.fullmatch, names)) or not names:
        return None
    known = imagenet()
    return known if len(names) == len(known) and all(map(_is_imagenet, names, range(len(names)))) else ClassNames(names)


def _is_imagenet(name: str, index: int) -> bool:
    """Whether a name is that of a class of ImageNet, alone or with all its synonyms."""
    known = imagenet()
    synonyms = known.synonyms[index] if known.synonyms is not None else ()
    return fold_name(name) in (fold_name(known[index]), fold_name(", ".join(synonyms)))


def _indices_by_name(class_names: Iterable[Sequence[str]], ids: Sequence[str] | None) -> dict[str, set[int]]:
    """Return, for each folded name and id, the indices of the classes that have it."""
    indices: dict[str, set[int]] = defaultdict(set)
    for index, names in enumerate(class_names):
        for name in names:
            indices[fold_name(name)].add(index)
    for index, class_id in enumerate(ids or ()):
        indices[fold_name(class_id)].add(index)
    return dict(indices)


def split_names(text: str, known: Iterable[str] = ()) -> list[str]:
    """Split names that are separated by commas, without empty ones.

    Args:
        text: The names.
        known: Names of classes. One that has commas itself, as a prompt may, stays whole.
    """
    whole = {fold_name(name) for name in known if "," in name}
    longest = max((name.count(",") for name in whole), default=0) + 1
    parts, names = text.split(","), list[str]()
    while parts:
        candidates = (",".join(parts[:count]) for count in range(min(longest, len(parts)), 1, -1))
        name = next((each for each in candidates if fold_name(each) in whole), parts[0])
        del parts[: name.count(",") + 1]
        names.append(name.strip())
    return [name for name in names if name]


def fold_name(name: str) -> str:
    """Return a name as names are compared: without regard to case, and with "_" and "-" as spaces."""
    return " ".join(printable(name).replace("_", " ").replace("-", " ").casefold().split())
