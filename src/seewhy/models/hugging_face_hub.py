"""A model of the Hugging Face hub by its name: from the cache of `huggingface_hub`, or downloaded into it.

What the cache has is used as it is, so that a model that was loaded once is loaded offline, too. Only JSON files and
safetensors are downloaded, the config first: what it says is checked before the weights are fetched.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, WeightsError, did_you_mean
from seewhy.models.hugging_face_folder import (
    CONFIG,
    INDEX,
    NESTED_PROCESSOR,
    PICKLES,
    PROCESSOR,
    WEIGHTS,
    check_config,
    no_safetensors,
    shard_names,
)
from seewhy.timing import Phase

NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?(@[\w./-]{1,96})?")

TIMEOUT = 3.0
"""Seconds in which the hub has to respond; its own client would try for half a minute."""


def check_name(name: str) -> None:
    """Raise ModelError for a text that is no name of a model on the hub."""
    if NAME.fullmatch(name) is None or ".." in name:
        raise ModelError(
            f"{name!r} is no name of a model on the Hugging Face hub; expected OWNER/NAME, such as "
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
    cached = _cached(hub, repository, revision or None, needs_weights)
    if cached is not None:
        return cached
    _check_reachable(hub, name)
    try:
        return _download(hub, name, repository, revision or None, trust=trust, needs_weights=needs_weights)
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        known = did_you_mean(repository, _similar_names(hub, repository))
        raise ModelError(
            f"The Hugging Face hub has no model {name!r}, or it is not public.{known} For a private one, log in first: "
            "hf auth login."
        ) from error
    except (OSError, hub.errors.HfHubHTTPError) as error:
        raise WeightsError(f"Cannot download hf:{name}: {error}") from error


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


def _check_reachable(hub: Any, name: str) -> None:
    """Raise ModelError if the hub does not respond within seconds."""
    advice = (
        "Where the hub can be reached, download the model: hf download "
        + name.replace("@", " --revision ")
        + " --local-dir folder. "
        "Copy the folder here, and give its path: hf:./folder."
    )
    cache = hub.constants.HF_HUB_CACHE
    if hub.constants.is_offline_mode():
        raise ModelError(
            f"hf:{name} is not in the cache, {cache}, and HF_HUB_OFFLINE forbids downloads."
            f"{did_you_mean(name, _cached_names(hub))} {advice}"
        )
    try:
        hub.utils.get_session().head(hub.constants.ENDPOINT, timeout=TIMEOUT)
    except Exception as error:  # of the HTTP library that this version of the hub's client uses
        raise ModelError(
            f"hf:{name} is not in the cache, {cache}, and {hub.constants.ENDPOINT} cannot be reached: {error}."
            f"{did_you_mean(name, _cached_names(hub))} {advice}"
        ) from error


def _download(hub: Any, name: str, repository: str, revision: str | None, *, trust: bool, needs_weights: bool) -> Path:
    def fetch(file: str) -> Path | None:
        try:
            return Path(hub.hf_hub_download(repository, file, revision=revision, etag_timeout=TIMEOUT))
        except hub.errors.RemoteEntryNotFoundError:
            return None

    config = fetch(CONFIG)
    if config is None:
        raise ModelError(f"hf:{name} has no {CONFIG}, and so is no model of transformers.")
    check_config(f"hf:{name}", _json(config), trust=trust)
    _ = fetch(PROCESSOR) or fetch(NESTED_PROCESSOR)
    if needs_weights and fetch(WEIGHTS) is None:
        index = fetch(INDEX)
        if index is None:
            raise ModelError(no_safetensors(f"hf:{name}", list(PICKLES[:1])))
        for shard in shard_names(index):
            fetch(shard)
    return config.parent


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error
    return content if isinstance(content, dict) else {}


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
    found = [model.id for model in hub.HfApi().list_models(search=words, limit=50)] if words else []
    return [*_cached_names(hub), *found]
