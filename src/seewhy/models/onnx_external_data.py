"""Weights of an ONNX model in files beside it: what the model says about them is checked before they are read."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from onnx import TensorProto

from seewhy.errors import ModelError, WeightsError, short_repr
from seewhy.models.onnx_tensor_sizes import tensor_bytes
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, open_regular_file

MAX_MODEL_SIZE = 2**31 - 2**20
"""Bytes of a model with all its weights: protobuf, the format of ONNX, has no larger messages."""

FREE_BYTES, MAX_RATIO = 64 * 2**20, 4
"""Weights in other files may have `FREE_BYTES` in all, and `MAX_RATIO` times what these files have: tied weights are
stored once."""

MAX_EXTERNAL_FILES, MAX_FILE_SIZE = 10_000, 16 * 2**30


class _Section(NamedTuple):
    """Where the data of a tensor are."""

    tensor: Any
    path: Path
    offset: int
    size: int


def read_external_data(tensors: Iterable[Any], path: Path, max_bytes: int = MAX_MODEL_SIZE) -> int:
    """Read the data of tensors from the files that they name, into the tensors.

    Args:
        tensors: All tensors of the model; those with data of their own are left as they are.
        path: The file of the model; other files must be in its folder.
        max_bytes: Data of more bytes than this are checked, and not read.

    Returns:
        The bytes of all files with weights.

    Raises:
        ModelError: A tensor names a file outside of the folder, or data that the file does not have, or the weights
            have more bytes than a model may have.
        WeightsError: A file is missing or cannot be read.
    """
    folder = Path(os.path.realpath(path.parent))
    sections = defaultdict(list)
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL:
            section = _section(tensor, path, folder)
            sections[section.path].append(section)
    if len(sections) > MAX_EXTERNAL_FILES:
        raise ModelError(f"{path} names {len(sections):,} files with weights; expected at most {MAX_EXTERNAL_FILES:,}.")
    sizes = {external: _file_size(external, path) for external in sections}
    declared = sum(section.size for group in sections.values() for section in group)
    total = sum(sizes.values())
    if declared > FREE_BYTES + MAX_RATIO * total:
        raise ModelError(
            f"{path} is malicious: its tensors would fill the memory with {declared:,} bytes from files of {total:,}."
        )
    if declared + path.stat().st_size > MAX_MODEL_SIZE:
        raise ModelError(
            f"{path} has weights of {declared / 10**9:,.1f} GB; ONNX models with more than 2 GB are not supported. "
            "Export a smaller model, or one in float16."
        )
    for external, group in sections.items():
        _read(external, group, sizes[external], path, max_bytes)
    return total


def _section(tensor: Any, path: Path, folder: Path) -> _Section:
    fields = {entry.key: entry.value for entry in tensor.external_data}
    location = fields.get("location", "")
    expected = tensor_bytes(tensor, path)
    offset, size = _number(tensor, fields, "offset", 0, path), _number(tensor, fields, "length", expected, path)
    if size != expected:
        raise ModelError(
            f"{path} is damaged or malicious: the weights {short_repr(tensor.name)} have {size:,} bytes in "
            f"{short_repr(location)}, and their shape {list(tensor.dims)} has {expected:,}."
        )
    return _Section(tensor, _checked_location(location, path, folder), offset, size)


def _number(tensor: Any, fields: dict[str, str], field: str, default: int, path: Path) -> int:
    text = fields.get(field, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise ModelError(
            f"{path} is damaged or malicious: the weights {short_repr(tensor.name)} have the {field} "
            f"{short_repr(text)}; expected a number of bytes."
        )
    return int(text)


def _checked_location(location: str, path: Path, folder: Path) -> Path:
    """Return the path of a file with weights, which must be in the folder of the model, also after following links."""
    parts = PurePosixPath(location.replace("\\", "/")).parts
    is_relative = not PurePosixPath(location).is_absolute() and not PureWindowsPath(location).anchor
    if not parts or not is_relative or ".." in parts or "\0" in location:
        raise ModelError(
            f"{path} is refused: it names weights in {short_repr(location)}; expected a file in its own folder."
        )
    real = Path(os.path.realpath(folder / location))
    if not real.is_relative_to(folder):
        raise ModelError(
            f"{path} is refused: its weights in {short_repr(location)} are a link out of the folder of the model. Copy "
            "the files themselves into one folder (cp -L)."
        )
    return real


def _file_size(external: Path, path: Path) -> int:
    try:
        with open_regular_file(external, MAX_FILE_SIZE) as file:
            return file.seek(0, os.SEEK_END)
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path} needs the file {external.name}, which has its weights and is missing. Put it into the folder "
            f"{path.parent}."
        ) from error
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ModelError(f"{external}, with the weights of {path.name}, is not read: {error}.") from error
    except OSError as error:
        raise WeightsError(
            f"Cannot read {external}, with the weights of {path.name}: {error.strerror or error}."
        ) from error


def _read(external: Path, sections: list[_Section], size: int, path: Path, max_bytes: int) -> None:
    with open_regular_file(external, MAX_FILE_SIZE) as file:
        for section in sections:
            tensor, end = section.tensor, section.offset + section.size
            if end > size:
                raise WeightsError(
                    f"{external} has {size:,} bytes, and {path.name} has weights in it up to {end:,}: one of the two "
                    "is truncated, or from another export."
                )
            if section.size > max_bytes:
                continue
            file.seek(section.offset)
            tensor.raw_data = file.read(section.size)
            del tensor.external_data[:]
            tensor.ClearField("data_location")
