"""Read class names from a file: a name a line, or JSON."""

import json
from pathlib import Path
from typing import Any

from seewhy.errors import ModelError, WeightsError
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, read_regular_file

MAX_SIZE = 16 * 2**20
"""Bytes. The names of the 21,000 classes of ImageNet have less than 1 MB."""


def read_class_names(path: Path) -> list[str]:
    """Read class names in the order of the model's outputs.

    Args:
        path: A text file in UTF-8 with a name in each line; or a `.json` file with a list of names, an object from
            index to name, or an object from name to index, such as `class_to_idx` of torchvision's ImageFolder.

    Raises:
        WeightsError: The file cannot be read.
        ModelError: There is no such file; or it is too large or not a regular file, or does not contain class names.
    """
    try:
        text = read_regular_file(path, MAX_SIZE).decode("utf-8-sig")
        names = _from_json(path, json.loads(text)) if path.suffix.lower() == ".json" else text.splitlines()
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ModelError(f"{path} is not read: {error}.") from error
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path} with the class names.") from error
    except OSError as error:
        raise WeightsError(f"Cannot read the class names in {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} does not contain class names: {error}.") from error
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    if not names or "" in names:
        problem = f"line {names.index('') + 1} is empty" if names else "it is empty"
        raise ModelError(f"{path} does not contain class names: {problem}. Expected a name for each class.")
    return names


def _from_json(path: Path, content: Any) -> list[str]:
    if isinstance(content, dict):
        return _from_object(path, content)
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    raise ModelError(
        f"{path} does not contain class names: expected a list of names, an object from index to name, or an object "
        "from name to index."
    )


def _from_object(path: Path, content: dict[str, Any]) -> list[str]:
    """Return the names of an object from index to name, or from name to index."""
    if all(type(value) is int for value in content.values()):
        by_index = {index: name for name, index in content.items()}
    else:
        by_index = {int(key) if key.isdecimal() else -1: value for key, value in content.items()}
    names = [by_index.get(index) for index in range(len(content))]
    if not all(isinstance(name, str) for name in names):
        raise ModelError(
            f"{path} does not contain class names: expected each index from 0 to {len(content) - 1} once, with a name."
        )
    return [str(name) for name in names]
