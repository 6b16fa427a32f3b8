"""Inspect a model file in a process of its own, with limited memory and time, before Keras loads the file.

The process is started by `file_inspection` and does not import Keras. It reads sizes from the data itself: those in a
zip directory can be wrong. It finds entries of a zip that would be written outside their folder or fill the memory,
datasets of an HDF5 file that do so or are in another file, and what the config names that is not on the allow-list.
"""

import io
import json
import math
import resource
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from seewhy.errors import ModelError, WeightsError
from seewhy.models.config_check import check_size, find_unlisted
from seewhy.models.process_limits import limit_process
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, open_regular_file

MAX_MEMORY = 3 * 2**29
"""Bytes of address space; importing h5py takes about a third."""

MAX_PROCESSOR_TIME = 60
"""Seconds."""

MAX_FILE_SIZE = 16 * 2**30
MAX_CONFIG_SIZE = 16 * 2**20
"""Bytes. The configs of the largest models of keras.applications have about 1 MB."""

FREE_SIZE, MAX_RATIO = 64 * 2**20, 20
"""Data that is stored in fewer bytes than it has may have `FREE_SIZE` bytes, or `MAX_RATIO` times what is stored."""

MAX_ENTRIES = 10_000
CHUNK = 2**20
HDF5_START, ZIP_START = b"\x89HDF\r\n\x1a\n", b"PK"
CONFIG, METADATA, HDF5_WEIGHTS, NUMPY_WEIGHTS = "config.json", "metadata.json", "model.weights.h5", "model.weights.npz"


def main() -> None:
    """Inspect the file of the request on the standard input, and write a report to the standard output, both JSON."""
    limit_process(resource.RLIMIT_AS, MAX_MEMORY, MAX_PROCESSOR_TIME)
    request = json.load(sys.stdin)
    report = _report(Path(request["path"]), weights_only=request["weights_only"], trust=request["trust"])
    json.dump(report, sys.stdout)


def _report(path: Path, *, weights_only: bool, trust: bool) -> dict[str, Any]:
    try:
        with open_regular_file(path, MAX_FILE_SIZE) as file:
            return _inspect(path, file, weights_only=weights_only, trust=trust)
    except (ModelError, WeightsError) as error:
        return {"error": type(error).__name__, "message": str(error)}
    except (NotRegularFileError, FileTooLargeError) as error:
        return {"error": "ModelError", "message": f"{path} is not read: {error}."}
    except MemoryError:
        message = f"{path} is malicious or damaged: it cannot be inspected in {MAX_MEMORY // 2**20:,} MB of memory."
        return {"error": "ModelError", "message": message}
    except (OSError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        message = f"{path} cannot be read; it may be damaged: {_first_line(error)}"
    except (KeyError, TypeError, ValueError) as error:
        message = f"The config of the model in {path} is damaged: {_first_line(error)}"
    return {"error": "WeightsError", "message": message}


class _Content(NamedTuple):
    """What a model file contains.

    Attributes:
        config: The config of the model; None if there is none.
        weight_bytes: The bytes of the weights, or what they could have at most in a file of this size.
    """

    config: str | bytes | None
    weight_bytes: int


def _inspect(path: Path, file: BinaryIO, *, weights_only: bool, trust: bool) -> dict[str, Any]:
    """Return the names and keys of what the config names and is not on the allow-list, and the bytes of the weights."""
    is_legacy = path.suffix.lower() != ".keras"
    _check_format(path, file, is_legacy)
    try:
        content = _read_hdf5(file) if is_legacy else _read_zip(path, file)
        if weights_only:
            return {"unlisted": [], "weight_bytes": content.weight_bytes}
        if content.config is None:
            raise WeightsError(
                f"{path} does not contain a model, at most its weights. Build the model, load the weights and save "
                "the whole model; or give a function that returns it: package.module:callable."
            )
        config = json.loads(content.config)
        check_size(config)
    except ModelError as error:
        raise ModelError(f"{path} is malicious: {error}.") from error
    unlisted = [] if trust else _unlisted(path, config, is_legacy)
    return {"unlisted": unlisted, "weight_bytes": content.weight_bytes}


def _unlisted(path: Path, config: Any, is_legacy: bool) -> list[tuple[str, str | None]]:
    if not is_legacy and isinstance(config, dict):
        config.pop("compile_config", None)  # the model is loaded without compiling it
    try:
        return [(name[:200], key) for name, key in find_unlisted(config)]
    except ModelError as error:
        raise ModelError(
            f"{path} is refused: {error}. If the file is your own, or you trust its author to run any program, load "
            "it with trust=True (--trust on the command line)."
        ) from error


def _check_format(path: Path, file: BinaryIO, is_legacy: bool) -> None:
    start = file.read(len(HDF5_START))
    if not start:
        raise WeightsError(f"{path} is empty; expected a model saved by Keras.")
    if not start.startswith(HDF5_START if is_legacy else ZIP_START):
        raise WeightsError(_format_mismatch(path, is_legacy, start))


def _format_mismatch(path: Path, is_legacy: bool, start: bytes) -> str:
    if start == HDF5_START:
        return f"{path} is in Keras's legacy format, HDF5. Rename it to {path.with_suffix('.h5').name}."
    if is_legacy and start.startswith(ZIP_START):
        return (
            f"{path} is a zip file, not HDF5. If it is a Keras 3 file, rename it to {path.with_suffix('.keras').name}."
        )
    return f"{path} is not a model saved by Keras; expected {'HDF5' if is_legacy else 'a zip file'}."


def _read_zip(path: Path, file: BinaryIO) -> _Content:
    """Check all entries of a zip file, and return its content."""
    with zipfile.ZipFile(file) as archive:
        _check_entries(archive, file)
        names = archive.namelist()
        weights = [name for name in (HDF5_WEIGHTS, NUMPY_WEIGHTS) if name in names]
        if CONFIG not in names or not weights:
            raise WeightsError(
                f"{path} is a zip file without {CONFIG} and {HDF5_WEIGHTS}; expected a model saved by Keras."
            )
        weight_bytes = sum(_check_weights(archive, file, archive.getinfo(name)) for name in weights)
        _check_version(path, archive)
        return _Content(archive.read(CONFIG), weight_bytes)


def _check_version(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise WeightsError for a file that Keras 2 wrote, which Keras 3 cannot read."""
    if METADATA not in archive.namelist():
        return
    metadata = json.loads(archive.read(METADATA))
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    if isinstance(version, str) and version.startswith("2."):
        raise WeightsError(
            f"{path} was saved by Keras {version[:20]}, and Keras 3 cannot read .keras files of Keras 2. Load it with "
            "that version and save it as HDF5, model.save('model.h5'); seewhy.load('model.h5') takes that file."
        )


def _check_entries(archive: zipfile.ZipFile, file: Any) -> None:
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if len(entries) > MAX_ENTRIES or len(names) < len(entries):
        raise ModelError(f"it has {len(entries):,} entries with {len(names):,} names; each must have its own")
    for entry in entries:
        _check_name(entry.filename)
        _check_declared_size(entry)
    size, total = file.seek(0, io.SEEK_END), sum(entry.file_size for entry in entries)
    if total > max(FREE_SIZE, MAX_RATIO * size):
        raise ModelError(f"its entries, {size:,} bytes in all, would fill the memory with {total:,}")
    for entry in entries:
        _check_actual_size(file, entry)


def _check_name(name: str) -> None:
    normalized = name.replace("\\", "/")
    if normalized.startswith("/") or ".." in normalized.split("/") or ":" in normalized:
        raise ModelError(f"its entry {name!r} would be written outside its folder")


def _check_declared_size(entry: zipfile.ZipInfo) -> None:
    limit = max(FREE_SIZE, MAX_RATIO * entry.compress_size)
    if entry.filename in (CONFIG, METADATA):
        limit = MAX_CONFIG_SIZE
    if entry.file_size > limit:
        raise ModelError(
            f"its entry {entry.filename!r} of {entry.compress_size:,} bytes would fill the memory with "
            f"{entry.file_size:,}"
        )
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"its entry {entry.filename!r} is compressed in a way that Keras does not use")


def _check_actual_size(file: BinaryIO, entry: zipfile.ZipInfo) -> None:
    """Raise ModelError if the data of an entry has another size than the zip directory says.

    zipfile returns no more than the declared size, but if Keras reads the entry in one step, zipfile first inflates
    everything. So the data is inflated here once, in small steps.
    """
    size = entry.compress_size
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        size = _inflated_size(_stored_data(file, entry), entry.file_size)
    if size != entry.file_size:
        raise ModelError(
            f"its entry {entry.filename!r} has {'more' if size > entry.file_size else 'fewer'} bytes than the "
            f"{entry.file_size:,} that the zip directory declares"
        )


def _inflated_size(data: io.BufferedReader, limit: int) -> int:
    """Return the size of deflated data, or a larger number than `limit` as soon as the limit is exceeded."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not inflater.eof and size <= limit:
        chunk = inflater.unconsumed_tail or data.read(CHUNK)
        if not chunk:
            break
        size += len(inflater.decompress(chunk, CHUNK))
    return size


class _Section(io.RawIOBase):
    """A part of a file, as a file. The reader of zipfile reads everything before a position to get there."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.file, self.start, self.size, self.position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self.file.seek(self.start + self.position)
        data = self.file.read(min(len(view), max(0, self.size - self.position)))
        view[: len(data)] = data
        self.position += len(data)
        return len(data)


def _stored_data(file: BinaryIO, entry: zipfile.ZipInfo) -> io.BufferedReader:
    """Return the data of a zip entry as it is stored, which follows a header of 30 bytes, the name and extra fields."""
    file.seek(entry.header_offset)
    header = file.read(30)
    if len(header) < 30 or not header.startswith(ZIP_START):
        raise zipfile.BadZipFile(f"the entry {entry.filename!r} has no header")
    start = entry.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
    return io.BufferedReader(_Section(file, start, entry.compress_size))


def _check_weights(archive: zipfile.ZipFile, file: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Check an entry with weights, and return their bytes."""
    weights: Any = _stored_data(file, entry)
    if entry.compress_type != zipfile.ZIP_STORED:
        if entry.file_size > FREE_SIZE:
            raise ModelError(f"its entry {entry.filename!r} is compressed; Keras stores it uncompressed")
        weights = io.BytesIO(archive.read(entry))
    if entry.filename == HDF5_WEIGHTS:
        return _read_hdf5(weights).weight_bytes
    with zipfile.ZipFile(weights) as arrays:
        _check_entries(arrays, weights)
        return sum(array.file_size for array in arrays.infolist())


def _read_hdf5(file: Any) -> _Content:
    """Check all datasets of an HDF5 file, and return its content."""
    import h5py

    size = file.seek(0, io.SEEK_END)
    with h5py.File(file, "r") as content:
        weight_bytes, stored = _check_group(h5py, content, max(FREE_SIZE, MAX_RATIO * size))
        config = content.attrs.get("model_config")
    config = config if config is None or isinstance(config, bytes) else str(config)
    return _Content(config, min(weight_bytes, MAX_RATIO * min(stored, size)))  # datasets may share what is stored


def _check_group(h5py: Any, root: Any, max_attributes: int) -> tuple[int, int]:
    """Check all datasets and attributes of a group, and return the datasets' bytes and how many of them are stored."""
    stack, visited = [root], set()
    size = stored = attributes = 0
    while stack:
        group = stack.pop()
        attributes += _attribute_bytes(group)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"its HDF5 entry {name!r} is a link to another file or place")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in visited:
                continue
            visited.add(address)
            if isinstance(item, h5py.Group):
                stack.append(item)
            elif isinstance(item, h5py.Dataset):
                _check_dataset(name, item)
                attributes += _attribute_bytes(item)
                size += item.nbytes
                stored += item.id.get_storage_size()
        if attributes > max_attributes:
            raise ModelError(f"its HDF5 attributes would fill the memory with more than {attributes:,} bytes")
    return size, stored


def _attribute_bytes(item: Any) -> int:
    """Return the bytes of an object's attributes: texts of any length can be one text that is stored once."""
    size, values = 0, [item.attrs[name] for name in item.attrs]
    for value in values:
        is_array_of_objects = getattr(value, "dtype", None) is not None and value.dtype.hasobject
        for element in value.ravel().tolist() if is_array_of_objects else [value]:
            size += len(element) if isinstance(element, (str, bytes)) else getattr(element, "nbytes", 0)
    return size


def _check_dataset(name: str, dataset: Any) -> None:
    if dataset.external or dataset.is_virtual:
        raise ModelError(f"its HDF5 dataset {name!r} is in another file")
    if dataset.dtype.hasobject:
        raise ModelError(f"its HDF5 dataset {name!r} contains texts or references; expected numbers")
    stored = dataset.id.get_storage_size()
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize  # HDF5 decompresses a whole chunk for one number
    if chunk > max(FREE_SIZE, MAX_RATIO * stored):
        raise ModelError(
            f"its HDF5 dataset {name!r} of {stored:,} bytes would fill the memory with a chunk of {chunk:,}"
        )
    if dataset.nbytes > max(FREE_SIZE, MAX_RATIO * stored):
        raise ModelError(f"its HDF5 dataset {name!r} of {stored:,} bytes would fill the memory with {dataset.nbytes:,}")


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
