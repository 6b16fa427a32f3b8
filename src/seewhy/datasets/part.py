"""One chunk of a source becomes one part of the output: the unit of work of every executor.

The files of a part are named after its chunk, and are moved into place when they are complete. Whoever explains a chunk
again, after a worker was killed, writes the same files over the old ones.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from seewhy.batches import batches, explain_each
from seewhy.datasets.arrow import pyarrow_parquet
from seewhy.datasets.decoding import Decode, decode
from seewhy.datasets.overlay_files import OverlayFiles, OverlayFormat
from seewhy.datasets.records import Chunk, Record
from seewhy.datasets.schema import (
    ExplainedImage,
    FailedImage,
    HeatmapType,
    check_fits,
    error_schema,
    error_table,
    result_schema,
    result_table,
)
from seewhy.errors import ImageError, LayerError, OutputError, SeewhyError, TargetError
from seewhy.explainer import Explainer
from seewhy.images.geometry import Placement
from seewhy.images.read_ahead import READ_AHEAD, read_ahead
from seewhy.images.writing import write_atomically
from seewhy.interpolation import resample
from seewhy.results.evidence_boxes import evidence_boxes
from seewhy.results.explanation import SHOWN_PREDICTIONS
from seewhy.results.heatmaps import Heatmaps
from seewhy.results.target_result import target_results
from seewhy.targets import Target
from seewhy.types import FloatArray, ImageArray

RESULTS, ERRORS = "results", "errors"
"""The folders of the parts."""


class Prepared(NamedTuple):
    """An image that was read and preprocessed.

    Attributes:
        record: Its record.
        inputs: (1, ...), the model's input.
        placement: Where that lies on the image.
        pixels: The image, where its overlays are drawn.
    """

    record: Record
    inputs: FloatArray
    placement: Placement
    pixels: ImageArray | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of memory that it takes."""
        return self.inputs.nbytes + (0 if self.pixels is None else self.pixels.nbytes)


Explained = ExplainedImage | FailedImage
ProgressOfPart = Callable[[Sequence[Explained]], None]
"""Is called after each batch, with what became of its images."""


class PartCounts(NamedTuple):
    """The number of rows of a part."""

    results: int
    errors: int


@final
@dataclass
class PartWriter:
    """Explains chunks, and writes a part for each: what a worker holds.

    Attributes:
        explainer: Explains; "auto" is fixed in it.
        target: What is explained, for each image the same.
        folder: The output folder.
        shape: (T, u, v) of the heatmaps of an image.
        heatmap_type: The type of their column.
        batch_size: How many images run at once.
        constants: The columns that are the same for all images.
        metadata: What the metadata of each file says of the run.
        overlays: The format in which overlays are written; None for none.
        decode: Reads the image of a record.
    """

    explainer: Explainer
    target: Target
    folder: Path
    shape: tuple[int, ...]
    heatmap_type: HeatmapType
    batch_size: int
    constants: Mapping[str, str]
    metadata: Mapping[str, Any]
    overlays: OverlayFormat | None = None
    decode: Decode = decode
    _classes: dict[str, int | None] = field(default_factory=dict)
    _batch: FloatArray | None = field(default=None, repr=False)

    def write(self, chunk: Chunk, progress: ProgressOfPart | None = None) -> PartCounts:
        """Explain a chunk and write its part; the file of the results is moved into place last.

        Raises:
            OutputError: A file cannot be written.
            SeewhyError: The model cannot be explained in this way.
        """
        results: list[ExplainedImage] = []
        errors: list[FailedImage] = []
        with OverlayFiles(self.folder, self.overlays, self.explainer.method.peak_quantile) as overlays:
            for batch in self.explain(chunk):
                explained = [image for image in batch if isinstance(image, ExplainedImage)]
                overlays.draw(explained)
                results += [image._replace(pixels=None) for image in explained]
                errors += [image for image in batch if isinstance(image, FailedImage)]
                if progress is not None:
                    progress(batch)
        errors.sort(key=lambda image: image.position)
        error_path, result_path = (part_path(self.folder, kind, chunk.number) for kind in (ERRORS, RESULTS))
        if errors:
            write_table(error_path, error_table(errors, error_schema(self.metadata)))
        else:
            _remove(error_path)  # of an attempt that was ended before its results were written
        schema = result_schema(self.shape, self.heatmap_type, self.metadata)
        write_table(result_path, result_table(results, schema, self.constants))
        return PartCounts(len(results), len(errors))

    def explain(self, chunk: Chunk) -> Iterator[list[Explained]]:
        """Explain the records of a chunk in batches, reading ahead; each record gives one result or one error."""
        read = read_ahead(
            chunk.records(),
            self._prepare,
            is_slow=lambda record: not isinstance(record.image, ImageError),
            size=lambda image: image.nbytes if isinstance(image, Prepared) else 0,
            ahead=max(self.batch_size, READ_AHEAD),
        )
        failed: list[Explained] = []

        def prepared() -> Iterator[Prepared]:
            for image in read:
                if isinstance(image, Prepared):
                    yield image
                else:
                    failed.append(image)

        for batch in batches(prepared(), self.batch_size, lambda image: image.nbytes):
            yield [*failed, *self._explain_batch(batch)]
            failed.clear()
        if failed:
            yield failed

    def _prepare(self, record: Record) -> Prepared | FailedImage:
        """Read and preprocess an image; runs in several threads."""
        try:
            pixels = self.decode(record)
            inputs = self.explainer.classifier.preprocess([pixels])
        except ImageError as error:
            return FailedImage(record.position, record.key, record.label, error)
        return Prepared(record, inputs.values, inputs.placements[0], None if self.overlays is None else pixels)

    def _explain_batch(self, batch: Sequence[Prepared]) -> Iterator[Explained]:
        for image, result in zip(batch, explain_each(batch, self._explain), strict=True):
            record = image.record
            if isinstance(result, SeewhyError):
                yield FailedImage(record.position, record.key, record.label, result)
            else:
                yield result

    def _explain(self, batch: Sequence[Prepared]) -> list[ExplainedImage]:
        inputs = [image.inputs for image in batch]
        if self.explainer.framework.compiles_batch_size:  # the last batch of a chunk would be compiled again
            inputs += [inputs[-1]] * (self.batch_size - len(inputs))
        heatmaps = self.explainer.heatmaps(self._stack(inputs), self.target, batch_size=self.batch_size)
        if heatmaps.values.ndim != 4:
            raise LayerError(
                f"The output of the layer {heatmaps.layer!r} has {heatmaps.values.ndim - 2} spatial axes, and an image "
                "has two. Give another layer."
            )
        if heatmaps.boxes is not None:  # of detections, which are explained at layers of their own
            heatmaps = replace(heatmaps, values=resample(heatmaps.values, self.shape[1:]))
        return [self._explained(heatmaps, row, image) for row, image in enumerate(batch)]

    def _stack(self, inputs: Sequence[FloatArray]) -> FloatArray:
        """Copy inputs, (1, ...) each, into one array, which the next batch overwrites: new memory takes longer."""
        shape = (max(self.batch_size, len(inputs)), *inputs[0].shape[1:])
        if self._batch is None or self._batch.shape != shape:
            self._batch = np.empty(shape, dtype=np.float32)
        return np.concatenate(inputs, out=self._batch[: len(inputs)])

    def _explained(self, heatmaps: Heatmaps, row: int, image: Prepared) -> ExplainedImage:
        record, values = image.record, heatmaps.values[row]
        check_fits(values, self.heatmap_type, self.shape, record.key)
        placement = image.placement.with_input_box(heatmaps.input_box)
        quantile = self.explainer.method_of(heatmaps).peak_quantile
        targets = target_results(heatmaps, row, placement)
        boxes = [
            next(iter(evidence_boxes(heatmap, placement, quantile, None)), None) if target.has_evidence else None
            for heatmap, target in zip(values, targets, strict=True)
        ]
        predictions = self._predictions(heatmaps, row)
        label_index = self.class_of(record.label)
        return ExplainedImage(
            record.position,
            record.key,
            record.label,
            label_index,
            predictions,
            targets,
            boxes,
            values,
            placement,
            image.pixels,
        )

    def _predictions(self, heatmaps: Heatmaps, row: int) -> list[tuple[int, str, float]]:
        """Return the most probable classes, as `Classifier.rank` orders them."""
        if heatmaps.probabilities is None:
            return []
        probabilities = heatmaps.probabilities[row]
        order = np.argsort(-probabilities, kind="stable")[:SHOWN_PREDICTIONS].tolist()
        return [(index, self.explainer.classifier.class_name(index), float(probabilities[index])) for index in order]

    def class_of(self, label: str | None) -> int | None:
        """Return the class that a label names; None if it names none."""
        if label is None:
            return None
        if label not in self._classes:
            try:
                self._classes[label] = self.explainer.classifier.find_class(label)
            except TargetError:
                self._classes[label] = None
        return self._classes[label]


def part_path(folder: Path, kind: str, number: int) -> Path:
    """Return the path of a part's file."""
    return folder / kind / f"part-{number:06}.parquet"


def write_table(path: Path, table: Any) -> None:
    """Write an Arrow table as a Parquet file, completely or not at all; it is on the disk when this returns."""
    write = partial(write_atomically, path, partial(pyarrow_parquet().write_table, table, compression="zstd"))
    try:
        write(durable=True)
    except OutputError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        write(durable=True)  # another process completed the run, and took the temporary file for one of a killed run


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot remove {path}: {error.strerror or error}.") from error


def count_kinds(errors: Sequence[FailedImage]) -> Counter[str]:
    """Return how many errors of each kind there are."""
    return Counter(type(image.error).__name__ for image in errors)
