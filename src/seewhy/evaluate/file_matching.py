"""Which file in a folder of masks or maps belongs to which image."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from seewhy.images.text import printable

MAX_LISTED = 3


class FileMatches(NamedTuple):
    """The files of images.

    Attributes:
        files: The file of each image that has one, by the image's name.
        problems: Why it cannot be told which file is an image's, by the image's name.
        unused: The number of files that belong to no image.
    """

    files: Mapping[str, str]
    problems: Mapping[str, str]
    unused: int


def match_files(files: Sequence[str], images: Sequence[str]) -> FileMatches:
    """Find the file of each image: by its path, else by its name, if no other file and no other image has that.

    The image `a/cat.jpg` has the file `a/cat.jpg.png` or `a/cat.png`; or `cat.png` in any folder.

    Args:
        files: Paths in the folder.
        images: The names of the images, which are paths too.
    """
    by_path = _grouped(files, lambda file: PurePath(file).with_suffix("").as_posix())
    candidates = {image: own for image in images if (own := _first(by_path, _path_keys(image)))}
    taken = {file for own in candidates.values() for file in own}
    by_name = _grouped((file for file in files if file not in taken), lambda file: PurePath(file).stem)
    for image in images:
        if image not in candidates and (own := _first(by_name, (PurePath(image).name, PurePath(image).stem))):
            candidates[image] = own
    owners: dict[str, list[str]] = defaultdict(list)
    for image, own in candidates.items():
        for file in own:
            owners[file].append(image)
    problems = {image: text for image, own in candidates.items() if (text := _problem(image, own, owners))}
    found = {image: own[0] for image, own in candidates.items() if image not in problems}
    return FileMatches(found, problems, unused=len(files) - len(owners))


def _problem(image: str, files: Sequence[str], owners: Mapping[str, Sequence[str]]) -> str:
    """Return why it cannot be told which of its files is an image's; empty where it has one of its own."""
    name = printable(f"{PurePath(image).as_posix()}{PurePath(files[0]).suffix}")
    if len(files) > 1:
        return f"several have its name, {_listed(files)}: call the one that is meant {name}"
    if len(owners[files[0]]) > 1:
        return f"{printable(files[0])} may be that of {_listed(owners[files[0]])}: call its own {name}"
    return ""


def _path_keys(image: str) -> Iterator[str]:
    """Yield the path of an image and its ends of two parts or more, each with and without its suffix."""
    path = PurePath(image)
    for start in range(max(1, len(path.parts) - 1)):
        end = PurePath(*path.parts[start:])
        yield from (end.as_posix(), end.with_suffix("").as_posix())


def _grouped(files: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[key(file)].append(file)
    return groups


def _first(groups: Mapping[str, list[str]], keys: Iterable[str]) -> list[str]:
    return next((groups[key] for key in keys if key in groups), [])


def _listed(names: Sequence[str]) -> str:
    shown = [printable(name) for name in names[:MAX_LISTED]]
    return " or ".join([*shown, *(["others"] if len(names) > MAX_LISTED else [])])
