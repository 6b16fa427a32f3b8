"""Explain a data set: find the source, explain its chunks, and write a part for each."""

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, get_args

import numpy as np

from seewhy.attribution.checks import check_batch_size
from seewhy.datasets.arrow import pyarrow_parquet
from seewhy.datasets.decoding import Decode, DecoderProcesses, check_time_limit, decode
from seewhy.datasets.executors import ExecutorName, ExplainChunks, MakesExplainer, choose_executor, made_explainer
from seewhy.datasets.find_source import SourceOptions, absolute_name, check_apart, find_source
from seewhy.datasets.folder_labels import classes_of_folders
from seewhy.datasets.output import Output
from seewhy.datasets.overlay_files import OverlayFormat
from seewhy.datasets.part import PartWriter
from seewhy.datasets.probe import choose
from seewhy.datasets.progress import Progress, ProgressCallback
from seewhy.datasets.records import Chunk, Source
from seewhy.datasets.run_folder import CHOSEN, RunFolder, Settings
from seewhy.datasets.schema import SCHEMA_VERSION, RequestedType
from seewhy.datasets.writer import make_writer, settings_of
from seewhy.errors import OptionError, TargetError, short_repr
from seewhy.explainer import BATCH_SIZE, Explainer, ModelSource
from seewhy.frameworks.fingerprint import fingerprint
from seewhy.images.style import check_name
from seewhy.targets import Target, TargetSpec

CHUNK_SIZE = 256
"""The number of images of a chunk, and of a part of the output, by default."""

SLOW_CHUNK_SIZE = 16
"""The same for methods that run the model many times for each image."""

MAX_CHUNK_SIZE = 1_000_000

MAX_SHARDS = 1_000_000

Shard = tuple[int, int]
"""(i, n): the i-th of n parts of the chunks, counted from 1."""

_logger = logging.getLogger("seewhy.datasets")


def run(
    model: Explainer | ModelSource | MakesExplainer,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    targets: TargetSpec = "top-1",
    *,
    batch_size: int = BATCH_SIZE,
    chunk_size: int | None = None,
    heatmaps: RequestedType = "auto",
    overlays: OverlayFormat | None = None,
    resume: bool = False,
    shard: Shard | None = None,
    time_limit: float | None = None,
    executor: ExecutorName = "local",
    workers: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: float = 0,
    address: str | None = None,
    progress: ProgressCallback | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    **options: Any,
) -> Output:
    """Explain every image of a data set, and write a table of the results as Parquet.

    Every image ends in exactly one row: of the results, or of the errors. A run that was interrupted, by whatever it
    was, is continued with `resume=True`.

    Args:
        model: An `Explainer`; what `Explainer` takes as a model; or a function without arguments that returns one of
            these. Workers of Ray make their own: for executor="ray", a name, a path or a function.
        source: A folder, which is searched with its subfolders; a glob; a text or CSV file that lists paths; Parquet
            files with images in a column; tar archives, as WebDataset writes them; "hf:NAME@SPLIT", a data set of
            Hugging Face in the local cache, or "hf:FOLDER", one that was saved on the disk. Paths may be
            URLs of fsspec.
        out: The output folder; created if missing.
        targets: As for `Explainer.explain`, the same for every image.
        batch_size: How many images run at once.
        chunk_size: The number of images of a part of the output. None is 256, and 16 for a method that runs the model
            many times.
        heatmaps: The type of the column of heatmaps: "float16" or "float32"; "auto" for float16 if it holds those of
            the first image with digits to spare, and else for float32.
        overlays: "png" or "jpg" writes the overlay of each target too; None writes none.
        resume: Go on with the run in the output folder.
        shard: (i, n) explains the i-th of n shares of the source, for job arrays; all n write to the same folder.
        time_limit: Decode images in processes of their own, which are ended when an image takes more seconds; for files
            that may be made to do harm. None decodes them in this process.
        executor: "local" explains in this process; "ray" by workers, on this machine or a cluster. The output is the
            same, and a run may be resumed by the other.
        workers: The number of workers of Ray; None for one for each processor of the cluster, or GPU if they have such,
            as far as the memory suffices.
        cpus_per_worker: The processors of a worker, and its threads.
        gpus_per_worker: The GPUs of a worker; a fraction lets workers share one.
        address: Of a running cluster, "auto" or "HOST:PORT"; None starts one on this machine for the length of the run.
        progress: Is called with a `Progress` after each batch; with executor="ray", after each part.
        should_stop: Is called after each part, and with executor="ray" several times a second; True ends the run after
            the parts in hand. It can be resumed.
        **options: How the source is read: `image_column`, `label_column`, `key_column`, `label_by_folder`, `recursive`
            and `limit`, see `SourceOptions`.

    Returns:
        The output; its `is_complete` is False if the run was stopped, or if other shards are not done yet.

    Raises:
        ImageError: The source cannot be read, or has no images.
        OptionError: An argument is invalid; or the output folder holds a run with other settings.
        OutputError: The output cannot be written, as on a full disk. What was written stays, and can be resumed.
        SeewhyError: The model cannot be explained in this way.
    """
    pyarrow_parquet()
    check_batch_size(batch_size)
    _check_output_options(heatmaps, overlays, time_limit)
    ray_options = {"workers": workers, "cpus_per_worker": cpus_per_worker, "gpus_per_worker": gpus_per_worker}
    explain_chunks = choose_executor(executor, model, time_limit, {**ray_options, "address": address})
    shard, folder = _check_shard(shard), RunFolder(_check_out(out))
    may_join = resume or shard != (1, 1)
    if not folder.has_run or not may_join:
        folder.check_unused()
    source_options = _source_options(options)
    explainer = made_explainer(model)
    target = _same_for_all(explainer.classifier.resolve(targets, explainer.output))
    size = _check_chunk_size(chunk_size, explainer)
    found = find_source(source, size, source_options, outside=folder.path)
    check_apart(os.fspath(source), folder.path)
    _check_labels(found, explainer)
    requested = _requested(explainer, source, found, source_options, targets, batch_size, size, heatmaps, overlays)
    chunks = found.chunks[shard[0] - 1 :: shard[1]]
    with closing(DecoderProcesses(time_limit)) if time_limit is not None else nullcontext() as processes:
        read = decode if processes is None else processes.decode
        settings = _begin(folder, explainer, found, target, requested, read, may_join)
        _check_new_shard(folder, chunks, resume)
        _logger.info(
            "%s: %d images in %d parts; %s at %s, heatmaps %s in %s",
            folder.path,
            found.count,
            len(found.chunks),
            settings["method"],
            settings["layer"],
            settings["heatmap_shape"],
            settings["heatmaps"],
        )
        writer = make_writer(explainer, target, folder.path, settings)
        writer.decode = read
        _explain(explain_chunks, writer, folder, chunks, progress, should_stop)
    is_complete = folder.finish(found.chunks)
    _logger.info("%s: %s", folder.path, "complete" if is_complete else "not complete yet")
    return Output(folder.path)


def _check_output_options(heatmaps: RequestedType, overlays: OverlayFormat | None, time_limit: float | None) -> None:
    check_name("heatmaps", heatmaps, get_args(RequestedType))
    if overlays is not None:
        check_name("overlays", overlays, get_args(OverlayFormat))
    if time_limit is not None:
        check_time_limit(time_limit)


def _explain(
    explain_chunks: ExplainChunks,
    writer: PartWriter,
    folder: RunFolder,
    chunks: Sequence[Chunk],
    progress: ProgressCallback | None,
    should_stop: Callable[[], bool],
) -> None:
    done = {chunk.number: counts for chunk in chunks if (counts := folder.counts_of(chunk)) is not None}
    before, errors = sum(map(sum, done.values())), sum(counts.errors for counts in done.values())
    state = Progress(sum(chunk.count for chunk in chunks), before, before, errors)
    _logger.info("%s: %d of %d images are done", folder.path, before, state.total)
    todo = [chunk for chunk in chunks if chunk.number not in done]
    explain_chunks(writer, todo, state, progress, should_stop)


def _begin(
    folder: RunFolder,
    explainer: Explainer,
    found: Source,
    target: Target,
    requested: Settings,
    read: Decode,
    may_join: bool,
) -> dict[str, Any]:
    """Return the settings of the run: those of the one that was begun here, or new ones, which are written."""
    if folder.has_run:
        return folder.check_same(requested)
    settings = {**requested, **choose(explainer, found, target, requested, read)}
    assert set(settings) - set(requested) == set(CHOSEN)  # noqa: S101  # what a resumed run takes over
    if folder.begin(settings):
        return settings
    if not may_join:  # another process began a run here a moment ago
        folder.check_unused()
    return folder.check_same(requested)  # what the first of several shards chose, all take over


def _requested(
    explainer: Explainer,
    source: str | os.PathLike[str],
    found: Source,
    options: SourceOptions,
    targets: TargetSpec,
    batch_size: int,
    chunk_size: int,
    heatmaps: RequestedType,
    overlays: OverlayFormat | None,
) -> dict[str, Any]:
    """Return what is known before an image is explained: what a run that is resumed must have in common."""
    requested = {
        "schema": SCHEMA_VERSION,
        "source": absolute_name(os.fspath(source)),
        "source_options": options.as_dict(),
        "source_fingerprint": found.fingerprint,
        "images": found.count,
        "chunk_size": chunk_size,
        "batch_size": batch_size,
        "requested_heatmaps": heatmaps,
        "overlays": overlays,
        "targets": _text(targets),
        **settings_of(explainer),
    }
    return dict(json.loads(json.dumps(requested)))


def _text(value: Any) -> Any:
    """Return targets as JSON holds them; of arrays a hash, of functions the name."""
    if isinstance(value, (list, tuple)):
        return [_text(each) for each in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        return fingerprint([], [("", value)])
    if dataclasses.is_dataclass(value):
        return [type(value).__name__, *map(_text, vars(value).values())]
    return value if isinstance(value, str | int | float | None) else getattr(value, "__qualname__", repr(value))


def _source_options(options: dict[str, Any]) -> SourceOptions:
    unknown = next((name for name in options if name not in SourceOptions.__dataclass_fields__), None)
    if unknown is not None:
        known = ", ".join(SourceOptions.__dataclass_fields__)
        raise OptionError(f"run has no argument {unknown!r}; a source has {known}.")
    return SourceOptions(**options)


def _same_for_all(target: Target) -> Target:
    try:
        for count in (1, 2):
            target.check_images(count)
    except TargetError as error:
        raise TargetError("Targets were given for each image; a data set has the same targets for all.") from error
    return target


def _check_out(out: str | os.PathLike[str]) -> Path:
    if not isinstance(out, (str, os.PathLike)) or not isinstance(path := os.fspath(out), str) or not path:
        raise OptionError(f"out is {short_repr(out)}; expected the path of a folder.")
    return Path(path)


def _check_shard(shard: Shard | None) -> Shard:
    if shard is None:
        return (1, 1)
    is_pair = isinstance(shard, (tuple, list)) and len(shard) == 2 and all(type(each) is int for each in shard)
    if not is_pair or not 1 <= shard[0] <= shard[1] <= MAX_SHARDS:
        raise OptionError(f"shard is {short_repr(shard)}; expected (i, n) with 1 <= i <= n, such as (1, 8).")
    return (shard[0], shard[1])


def _check_chunk_size(chunk_size: int | None, explainer: Explainer) -> int:
    if chunk_size is None:
        return SLOW_CHUNK_SIZE if explainer.method.needs_runner else CHUNK_SIZE
    if type(chunk_size) is not int or not 1 <= chunk_size <= MAX_CHUNK_SIZE:
        raise OptionError(f"chunk_size is {short_repr(chunk_size)}; expected 1 to {MAX_CHUNK_SIZE:,}.")
    return chunk_size


def _check_new_shard(folder: RunFolder, chunks: Sequence[Chunk], resume: bool) -> None:
    if not resume and any(folder.counts_of(chunk) is not None for chunk in chunks):
        raise OptionError(f"{folder.path} has parts of this shard. Go on with resume=True, or give another folder.")


def _check_labels(found: Source, explainer: Explainer) -> None:
    """Raise TargetError if folders, of which each is to be a class, are none."""
    if found.folders:
        classes_of_folders(found.folders, explainer.classifier)
