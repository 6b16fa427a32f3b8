"""Weights of PyTorch models in files, loaded into an architecture, without running code that a file contains.

A `.pt` or `.pth` file is a pickle, which could call any function by name; torch's own safe unpickler
(`weights_only=True`) allows only what tensors need. A `.safetensors` file has tensors only.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError, WeightsMismatchError
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, open_regular_file
from seewhy.timing import Phase

SUFFIXES = (".pt", ".pth", ".safetensors")

MAX_FILE_SIZE = 16 * 2**30

STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model")
"""Where checkpoints hold the state dict, beside the optimizer and the epoch."""

WRAPPERS = ("module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, `torch.compile` and training modules put before each name."""

UNSUPPORTED = re.compile(r"Unsupported global: GLOBAL (\S+)")
"""torch's message about a function or class that a pickle names."""

MAX_LISTED = 3

StateDict = Mapping[str, Any]


def read_state_dict(path: Path) -> StateDict:
    """Read the tensors of a file by name.

    Raises:
        ModelError: The file contains other objects than tensors, is malicious, is too large or is not a regular file.
        WeightsError: The file is missing, empty or damaged.
        MissingExtraError: torch, or for `.safetensors` the package safetensors, is not installed.
    """
    try:
        content = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_pickle(path)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ModelError(f"{path} is not read: {error}.") from error
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    state = _state_dict(content)
    if state is None:
        kind = type(content).__name__
        raise ModelError(
            f"{path} contains no state dict, a mapping from names to tensors, but a {kind}. Save one: "
            "torch.save(model.state_dict(), path)."
        )
    return state


def load_state_dict(model: Any, state: StateDict, path: Path, architecture: str) -> None:
    """Load tensors into a `torch.nn.Module` that has exactly those.

    Raises:
        ModelError: The model is not a `torch.nn.Module`.
        WeightsMismatchError: Names or shapes differ; the message lists some.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            f"{path} contains weights of PyTorch, and {architecture} is a {type(model).__module__}."
            f"{type(model).__name__}. Give an architecture of PyTorch, such as timm:resnet18."
        )
    own = model.state_dict()
    state = without_wrapper(state, own)
    problems = [
        _listed("missing", [name for name in own if name not in state and not name.endswith("num_batches_tracked")]),
        _listed("unknown to the architecture", [name for name in state if name not in own]),
        _listed(
            "of another shape",
            [
                f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                for name in own
                if name in state and state[name].shape != own[name].shape
            ],
        ),
    ]
    if any(problems):
        raise WeightsMismatchError(
            f"The weights in {path} are not those of {architecture}: {'; '.join(filter(None, problems))}. Give the "
            "architecture that they were trained with."
        )
    model.load_state_dict(dict(state), strict=False)  # strict but for the counters of old checkpoints: see above


def class_count(state: StateDict, own: StateDict) -> int | None:
    """Return the number of classes that the weights have, if it differs from that of the model; else None.

    It is the first size of the last tensor whose other sizes agree with the model's.

    Args:
        state: The weights, with the names of the model.
        own: The state dict of the model.
    """
    differing = [
        len(state[name])
        for name in own
        if name in state
        and state[name].ndim > 0
        and state[name].shape != own[name].shape
        and state[name].shape[1:] == own[name].shape[1:]
    ]
    return differing[-1] if differing and len(set(differing)) == 1 else None


def without_wrapper(state: StateDict, own: StateDict) -> StateDict:
    """Return the weights without what wrappers put before all of their names."""
    while state and not any(name in own for name in state):
        prefix = next((prefix for prefix in WRAPPERS if all(name.startswith(prefix) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _read_safetensors(path: Path) -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import safetensors
            import safetensors.torch
    except ModuleNotFoundError as error:
        if error.name not in ("safetensors", "torch"):
            raise
        raise MissingExtraError(f"For {path.name}, {error.name}", "hubs") from error
    open_regular_file(path, MAX_FILE_SIZE).close()
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{path} is damaged, or is not a safetensors file: {error}.") from error


def _read_pickle(path: Path) -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(f"For {path.name}, torch", "torch") from error
    with open_regular_file(path, MAX_FILE_SIZE) as file:
        _check_zip(path, file)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that a newer pickle protocol may not be supported
                return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            named = UNSUPPORTED.search(str(error))
            what = f"names {named[1]}" if named else "contains other objects"
            raise ModelError(
                f"{path} is refused: it {what}, and loading anything but tensors could run code from the file. If it "
                "is your own, load it in your own code and save its weights: torch.save(model.state_dict(), path). Or "
                "give a function that returns the model: package.module:callable."
            ) from error
        except (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise WeightsError(f"{path} is damaged, or was not saved by torch: {_first_line(error)}") from error


def _check_zip(path: Path, file: BinaryIO) -> None:
    """Raise if a file is a zip file that torch does not write: TorchScript, or one that would fill the memory."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        file.seek(0)
        return  # the format before torch 1.6, or damaged
    size = file.seek(0, 2)
    file.seek(0)
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise ModelError(
            f"{path} is a TorchScript module, whose layers are not accessible. Save the weights of the original "
            "module: torch.save(model.state_dict(), path)."
        )
    is_stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not is_stored or sum(entry.file_size for entry in entries) > size:
        raise ModelError(f"{path} is malicious: its entries would fill the memory with more bytes than it has.")


def _state_dict(content: Any) -> StateDict | None:
    """Return the state dict in what a file contains: the content itself, or a part of a checkpoint."""
    import torch

    if not isinstance(content, Mapping):
        return None
    for part in (*(content[key] for key in STATE_DICT_KEYS if isinstance(content.get(key), Mapping)), content):
        tensors = {name: value for name, value in part.items() if not str(name).endswith("_extra_state")}
        if tensors and all(isinstance(name, str) and isinstance(tensors[name], torch.Tensor) for name in tensors):
            return tensors
    return None


def _listed(problem: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"{problem}: {', '.join(names[:MAX_LISTED])}{more}"


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
