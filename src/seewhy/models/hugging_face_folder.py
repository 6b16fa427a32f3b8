"""A folder with a Hugging Face model, as `save_pretrained` writes it: its files, inspected before anything is loaded.

`config.json` describes the model, `model.safetensors` (or an index of several such files) holds its weights, and
`preprocessor_config.json` its image processor. A config can name Python code in the folder or in another repository,
other files, kernels and sizes that fill the memory; so it is read here, without transformers, and what could act is
refused unless it is trusted.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from seewhy.errors import ModelError, WeightsError, short_repr
from seewhy.models.json_object import read_json_object
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, open_regular_file, read_regular_file

CONFIG = "config.json"
PROCESSOR, NESTED_PROCESSOR = "preprocessor_config.json", "processor_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
"""Weights in other formats; that of PyTorch is a pickle, which can call any function by name."""

MAX_JSON = 16 * 2**20
MAX_FILE_SIZE = 16 * 2**30
MAX_SHARDS = 1_000

MAX_NUMBER = 1_000_000
"""The largest whole number of a config, and the largest sum of a list of them: the sizes and the counts of layers. Some
models make lists of that length before they make a layer. The largest vocabulary has about 260,000 words."""

ATTENTION = {"eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention", None}
"""The implementations of attention that are part of transformers; any other name is that of a repository of kernels."""

ACTING = {
    "auto_map": "Python code of its own",
    "custom_pipelines": "Python code of its own",
    "quantization_config": "weights that another package has to unpack",
    "fusion_config": "parts of the model to be replaced",
    "kernel_config": "kernels to be downloaded",
    "use_kernels": "kernels to be downloaded",
    "transformers_weights": "another file of weights",
    "distributed_config": "other processes",
    "use_pretrained_backbone": "the weights of another model",
    "use_timm_backbone": "a model of timm",
    "model_args": "arguments for a model of timm",
}
"""The keys of a config that make transformers run, download or read something else, and what that is."""

IMPLEMENTATIONS = {"attn_implementation", "_attn_implementation", "_attn_implementation_internal"}
EXPERTS = {"experts_implementation", "_experts_implementation", "_experts_implementation_internal"}


class HuggingFaceFolder(NamedTuple):
    """What a folder contains.

    Attributes:
        path: The folder.
        config: The content of `config.json`.
        processor: The settings of the image processor; None if there are none.
        weight_bytes: The bytes of the files with weights; 0 if random weights are requested.
    """

    path: Path
    config: Mapping[str, Any]
    processor: Mapping[str, Any] | None
    weight_bytes: int


def is_folder(path: Path) -> bool:
    """Whether a path is that of a folder with a Hugging Face model, going by the keys of its `config.json`."""
    if not os.path.isdir(path) or not os.path.isfile(path / CONFIG):
        return False
    try:
        config = json.loads(read_regular_file(path / CONFIG, MAX_JSON))
    except (OSError, ValueError, RecursionError):
        return bool(list(path.glob("*.safetensors")))  # a damaged one, of which inspecting it tells more
    return isinstance(config, dict) and not {"model_type", "architectures", "architecture"}.isdisjoint(config)


def inspect(path: Path, *, trust: bool, needs_weights: bool = True) -> HuggingFaceFolder:
    """Read and check the files of a folder.

    Args:
        path: The folder.
        trust: True skips the check of what the config names.
        needs_weights: False for random weights.

    Raises:
        ModelError: The folder has no config, names what is not trusted, or has no weights in the safetensors format.
        WeightsError: A file is damaged.
    """
    config = read_json_object(path / CONFIG, MAX_JSON)
    processor = _processor(path)
    if not trust:
        _check_config(path / CONFIG, config)
        if processor is not None:
            _check_config(path / PROCESSOR, processor)
        if os.path.lexists(path / "adapter_config.json"):
            raise ModelError(
                f"{path} contains an adapter, adapter_config.json, which makes transformers load another model, too. "
                "Merge it into its model (merge_and_unload of peft), and save that: model.save_pretrained(folder)."
            )
    weights = _weights_files(path) if needs_weights else []
    return HuggingFaceFolder(path, config, processor, sum(map(_size, weights)))


def shard_names(index: Path) -> list[str]:
    """Return the names of the files that an index lists, which are in its folder.

    Raises:
        ModelError: A name leads out of the folder, or is not that of a safetensors file.
    """
    content = read_json_object(index, MAX_JSON)
    named = content.get("weight_map")
    names = sorted({str(name) for name in named.values()}) if isinstance(named, dict) else []
    if not 0 < len(names) <= MAX_SHARDS:
        raise ModelError(f"{index} lists {len(names)} files; expected 1 to {MAX_SHARDS:,} of safetensors.")
    for name in names:
        if not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise ModelError(f"{index} is malicious: it names {short_repr(name)}, which is no file of its folder.")
    return names


def check_config(name: str, config: Mapping[str, Any], *, trust: bool) -> None:
    """Check a config before the weights are downloaded.

    Raises:
        ModelError: It names what is not trusted, or describes sizes that would fill the memory.
    """
    if not trust:
        _check_config(Path(name) / CONFIG, config)


def _processor(path: Path) -> Mapping[str, Any] | None:
    """Return the settings of the image processor, which newer versions keep among those of a processor of several."""
    if os.path.lexists(path / PROCESSOR):
        return read_json_object(path / PROCESSOR, MAX_JSON)
    if os.path.lexists(path / NESTED_PROCESSOR):
        nested = read_json_object(path / NESTED_PROCESSOR, MAX_JSON).get("image_processor")
        return nested if isinstance(nested, dict) else None
    return None


def _check_config(path: Path, config: Mapping[str, Any]) -> None:
    for entry in _objects(config):
        for key, value in entry.items():
            if value and key in ACTING:
                raise _untrusted(path, f"{key} asks for {ACTING[key]}")
            if key in IMPLEMENTATIONS and any(name not in ATTENTION for name in _texts(value)):
                raise _untrusted(path, f"{key} asks for kernels to be downloaded, {short_repr(value)}")
            if key in EXPERTS and any("/" in str(name) for name in _texts(value)):
                raise _untrusted(path, f"{key} asks for kernels to be downloaded, {short_repr(value)}")
            if _largest(value) > MAX_NUMBER:
                problem = f"its {key} is {short_repr(value)}, and sizes are at most {MAX_NUMBER:,}"
                raise _untrusted(path, problem)


def _untrusted(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"{path} is refused: {problem}. If the model is your own, or you trust its author to run any program, load it "
        "with trust=True (--trust on the command line)."
    )


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every object in a JSON value, at any depth; names of classes are not sizes."""
    if isinstance(value, Mapping):
        value = {key: inner for key, inner in value.items() if key not in ("id2label", "label2id")}
        yield value
    inner_values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for inner in inner_values:
        yield from _objects(inner)


def _texts(value: Any) -> list[Any]:
    """Return the texts in a value, at any depth: an object holds one for each part of the model."""
    if not isinstance(value, (Mapping, list)):
        return [value]
    inner_values = value.values() if isinstance(value, Mapping) else value
    return [text for inner in inner_values for text in _texts(inner)]


def _largest(value: Any) -> float:
    """Return the largest whole number in a value, or the sum of a list of them."""
    if isinstance(value, list):
        return sum(map(_largest, value))
    return abs(value) if isinstance(value, int) else 0


def _weights_files(path: Path) -> list[Path]:
    """Return the files with weights, in the safetensors format."""
    if os.path.lexists(path / WEIGHTS):
        return [path / WEIGHTS]
    if os.path.lexists(path / INDEX):
        return [path / name for name in shard_names(path / INDEX)]
    pickles = [name for name in PICKLES if os.path.lexists(path / name)]
    raise ModelError(no_safetensors(str(path), pickles))


def no_safetensors(place: str, others: list[str]) -> str:
    """Return the message about a model without weights in the safetensors format."""
    if not others:
        return (
            f"{place} contains no weights: there is no {WEIGHTS}. Save the model with its weights: "
            "model.save_pretrained(folder)."
        )
    return (
        f"{place} has its weights in {others[0]}, and only safetensors is loaded: other formats can contain code. If "
        "you trust its author, convert it in your own code: transformers.AutoModelForImageClassification."
        "from_pretrained(folder, use_safetensors=False).save_pretrained(new_folder), and copy "
        f"{PROCESSOR} beside it."
    )


def _size(path: Path) -> int:
    try:
        with open_regular_file(path, MAX_FILE_SIZE) as file:
            return file.seek(0, os.SEEK_END)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ModelError(f"{path} is not read: {error}.") from error
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
