"""The true classes of images, by the names of their folders."""

from collections.abc import Sequence
from pathlib import Path

from seewhy.errors import TargetError, did_you_mean
from seewhy.images.finding import folder_of
from seewhy.images.text import printable
from seewhy.models import Classifier

MAX_LISTED = 10
"""How many unknown folders an error lists."""


def classes_by_folder(paths: Sequence[Path], classifier: Classifier) -> dict[str, int]:
    """Return the class of each folder that holds images; see `classes_of_folders`."""
    return classes_of_folders(sorted({folder_of(path) for path in paths}), classifier)


def classes_of_folders(folders: Sequence[str], classifier: Classifier) -> dict[str, int]:
    """Return the class that each folder names, by the folder's name.

    Args:
        folders: The names of the folders.
        classifier: Finds a class by its name, its index or its id.

    Raises:
        TargetError: Folders are named after no class, or after several; the message lists them.
    """
    classes: dict[str, int] = {}
    problems: list[str] = []
    for folder in folders:
        try:
            classes[folder] = classifier.find_class(folder)
        except TargetError:
            problems.append(_problem(folder, classifier))
    if problems:
        listed = "; ".join([*problems[:MAX_LISTED], *(["..."] if len(problems) > MAX_LISTED else [])])
        raise TargetError(
            f"label_by_folder=True takes the name of an image's folder as its true class, and {len(problems)} of "
            f"{len(folders)} folders do not name a class of the model {classifier.name!r}: {listed}. Rename them to a "
            "class's name, index or id, or leave the option out."
        )
    return classes


def _problem(folder: str, classifier: Classifier) -> str:
    """Describe a folder that does not name one class."""
    names, shown = classifier.class_names, f"'{printable(folder)}'"
    if names is None:
        return f"{shown} (the model's class names are not known)"
    if matches := names.matches(folder):
        several = " or ".join(repr(names.unique_name(index)) for index in sorted(matches))
        return f"{shown} (which may be {several})"
    near = did_you_mean(folder, names).strip()
    return shown + (f" ({near[0].lower()}{near[1:]})" if near else "")
