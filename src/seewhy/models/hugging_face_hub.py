"""A model of the Hugging Face hub by its name: from the cache of `huggingface_hub`, or downloaded into it.

What the cache has is used as it is, so that a model that was loaded once is loaded offline, too. Only JSON files and
safetensors are downloaded, the config first: what it says is checked before the weights are fetched.
"""

import logging
import os
import re
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError, did_you_mean, short_repr
from seewhy.models.hugging_face_folder import (
    CONFIG,
    INDEX,
    MAX_JSON,
    NESTED_PROCESSOR,
    PICKLES,
    PROCESSOR,
    WEIGHTS,
    check_config,
    no_safetensors,
    shard_names,
)
from seewhy.models.json_object import read_json_object
from seewhy.timing import Phase

_logger = logging.getLogger("seewhy.models")

NAME = re.compile(r"\w(?:[\w.-]*\w)?(?:/\w(?:[\w.-]*\w)?)?(?:@\w[\w./-]{0,95})?", re.ASCII)
TOKENIZER_FILES = (
    *("tokenizer_config.json", "tokenizer.json", "special_tokens_map.json", "vocab.json", "merges.txt", "vocab.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
"""What the tokenizer of a model with a text tower consists of, as far as a model has it."""

MAX_NAME = 96
"""The characters of OWNER, and of NAME."""

TIMEOUT = 3.0
"""Seconds in which the hub has to respond; its own client would try for half a minute."""


def check_name(name: str) -> None:
    """Raise ModelError for a text that is no name of a model on the hub."""
    repository = name.partition("@")[0]
    is_name = NAME.fullmatch(name) is not None and max(map(len, repository.split("/"))) <= MAX_NAME
    if not is_name or ".." in name or "--" in repository or repository.endswith(".git"):
        raise _no_name(name)


def _no_name(name: str) -> ModelError:
    return ModelError(
        f"{short_repr(name)} is no name of a model on the Hugging Face hub; expected OWNER/NAME, such as "
        "hf:microsoft/resnet-50, or OWNER/NAME@REVISION. A folder is given by its path: hf:./folder."
    )


def find_model(name: str, *, trust: bool, needs_weights: bool) -> Path:
    """Return the folder with the files of a model, which are downloaded if the cache does not have them.

    Args:
        name: OWNER/NAME, or OWNER/NAME@REVISION with a branch, a tag or a commit.
        trust: As for `inspect`.
        needs_weights: False for random weights, for which the config is enough.

    Raises:
        ModelError: There is no such model, the hub cannot be reached, or the model has no safetensors.
        WeightsError: The download failed.
        MissingExtraError: huggingface_hub is not installed.
    """
    hub = _import_hub()
    repository, _, revision = name.partition("@")
    try:
        cached = _cached(hub, repository, revision or None, needs_weights)
        if cached is not None and (_knows_processor(hub, repository, cached) or _unreachable(hub)):
            _logger.info("the files of hf:%s are in the cache, %s", name, cached)
            return cached
        if cached is not None:  # the processor of the same commit
            revision = cached.name
        elif problem := _unreachable(hub):
            raise _not_cached(hub, name, problem)
        return _download(hub, name, repository, revision or None, trust=trust, needs_weights=needs_weights)
    except hub.errors.HFValidationError as error:
        raise _no_name(name) from error
    except hub.errors.GatedRepoError as error:
        raise ModelError(
            f"hf:{name} is a gated model, which is not open to you. Log in, hf auth login, and accept its conditions "
            f"on its page, {hub.constants.ENDPOINT}/{repository}."
        ) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        known = did_you_mean(repository, _similar_names(hub, repository))
        raise ModelError(
            f"The Hugging Face hub has no model {name!r}, or it is not public.{known} For a private one, log in first: "
            "hf auth login."
        ) from error
    except _transfer_errors(hub) as error:
        is_vague = isinstance(error, hub.errors.LocalEntryNotFoundError)  # it says that there is no connection
        reason = error.__cause__ or error if is_vague else error
        text = " ".join(str(reason).split()) or type(reason).__name__
        raise WeightsError(f"Cannot download hf:{name}: {text}") from error


def _transfer_errors(hub: Any) -> tuple[type[Exception], ...]:
    """Return the errors of a transfer: OSError, and those of the HTTP library of this version of the hub's client."""
    return (OSError, *hub.errors.HfHubHTTPError.__bases__)


def _import_hub() -> Any:
    try:
        with timing.phase(Phase.IMPORTING):
            import huggingface_hub
            import huggingface_hub.errors
    except ModuleNotFoundError as error:
        if error.name != "huggingface_hub":
            raise
        raise MissingExtraError("For models of Hugging Face, huggingface_hub", "huggingface") from error
    return huggingface_hub


def _cached(hub: Any, repository: str, revision: str | None, needs_weights: bool) -> Path | None:
    """Return the folder in the cache if it has everything; None otherwise."""
    try:
        config = hub.hf_hub_download(repository, CONFIG, revision=revision, local_files_only=True)
    except (hub.errors.LocalEntryNotFoundError, OSError):
        return None
    folder = Path(config).parent
    if not needs_weights or os.path.exists(folder / WEIGHTS):
        return folder
    has_shards = os.path.exists(folder / INDEX) and all(
        os.path.exists(folder / name) for name in shard_names(folder / INDEX)
    )
    return folder if has_shards else None


def _knows_processor(hub: Any, repository: str, folder: Path) -> bool:
    """Whether the cache has the settings of the image processor of a commit, or knows that there are none."""
    if os.path.exists(folder / PROCESSOR) or os.path.exists(folder / NESTED_PROCESSOR):
        return True
    known = [
        hub.try_to_load_from_cache(repository, file, revision=folder.name) for file in (PROCESSOR, NESTED_PROCESSOR)
    ]
    return None not in known


def unreachable() -> str:
    """Return why nothing can be downloaded; "" if the hub responds within seconds."""
    return _unreachable(_import_hub())


def _unreachable(hub: Any) -> str:
    """Return why nothing can be downloaded; "" if the hub responds within seconds."""
    if hub.constants.is_offline_mode():
        return "HF_HUB_OFFLINE forbids downloads"
    try:
        hub.utils.get_session().head(hub.constants.ENDPOINT, timeout=TIMEOUT)
    except _transfer_errors(hub) as error:
        return f"{hub.constants.ENDPOINT} cannot be reached: {error}"
    return ""


def _not_cached(hub: Any, name: str, problem: str) -> ModelError:
    return ModelError(
        f"hf:{name} is not in the cache, {hub.constants.HF_HUB_CACHE}, and {problem}."
        f"{did_you_mean(name, _cached_names(hub))} Where the hub can be reached, download the model: hf download "
        f"{name.replace('@', ' --revision ')} --local-dir folder. Copy the folder here, and give its path: hf:./folder."
    )


def _download(hub: Any, name: str, repository: str, revision: str | None, *, trust: bool, needs_weights: bool) -> Path:
    def fetch(file: str) -> Path | None:
        try:
            return Path(hub.hf_hub_download(repository, file, revision=revision, etag_timeout=TIMEOUT))
        except hub.errors.RemoteEntryNotFoundError:
            return None

    config = fetch(CONFIG)
    if config is None:
        raise ModelError(f"hf:{name} has no {CONFIG}, and so is no model of transformers.")
    check_config(f"hf:{name}", read_json_object(config, MAX_JSON), trust=trust)
    _ = fetch(PROCESSOR) or fetch(NESTED_PROCESSOR)
    for file in TOKENIZER_FILES if "text_config" in read_json_object(config, MAX_JSON) else ():
        fetch(file)
    if needs_weights and fetch(WEIGHTS) is None:
        index = fetch(INDEX)
        if index is None:
            raise ModelError(no_safetensors(f"hf:{name}", list(PICKLES[:1])))
        for shard in shard_names(index):
            fetch(shard)
    _logger.info("the files of hf:%s were downloaded to %s", name, config.parent)
    return config.parent


def _cached_names(hub: Any) -> list[str]:
    """Return the names of the models in the cache."""
    try:
        folders = os.listdir(hub.constants.HF_HUB_CACHE)
    except OSError:
        return []
    return [name.removeprefix("models--").replace("--", "/") for name in folders if name.startswith("models--")]


def _similar_names(hub: Any, repository: str) -> list[str]:
    """Return the names of models on the hub that resemble one which does not exist, and of those in the cache."""
    words = re.split(r"[/\d]", repository.rpartition("/")[2])[0].strip("-_.")
    try:
        found = [model.id for model in hub.HfApi().list_models(search=words, limit=50)] if words else []
    except _transfer_errors(hub):  # the error that is raised already says more
        found = []
    return [*_cached_names(hub), *found]
