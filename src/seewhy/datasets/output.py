"""The output of a run, read back: as a table, as explanations, and in summary."""

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np

from seewhy.datasets.arrow import pyarrow, pyarrow_compute, pyarrow_parquet
from seewhy.datasets.conversions import Conversions
from seewhy.datasets.decoding import decode
from seewhy.datasets.find_source import SourceOptions, find_source
from seewhy.datasets.overlay_files import overlay_paths
from seewhy.datasets.part import ERRORS, RESULTS, part_path
from seewhy.datasets.readable_output import Filter, Row
from seewhy.datasets.records import Record, Source
from seewhy.datasets.run_folder import RunFolder, Settings
from seewhy.datasets.schema import error_schema, result_schema
from seewhy.errors import ImageError, MissingExtraError, OptionError, OutputError, did_you_mean, short_repr
from seewhy.images.geometry import Placement
from seewhy.models import Prediction
from seewhy.representation import ShortTuple, description
from seewhy.results.explanation import Explanation
from seewhy.results.target_result import TargetResult
from seewhy.types import ImageArray

BATCH_ROWS = 256
"""How many rows become Python objects at once."""


@final
class Output(Conversions):
    """The output of a run.

    Args:
        folder: The output folder.

    Raises:
        OptionError: The folder is not that of a run, or was written in another version of the schema.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = RunFolder(Path(folder))
        self._settings = self._folder.settings()

    def __repr__(self) -> str:
        state = "complete" if self.is_complete else "not complete"
        settings = self._settings
        return description(
            self, f"of {settings['images']:,} images of {short_repr(settings['source'])}: {settings['method']}, {state}"
        )

    @property
    def path(self) -> Path:
        """The output folder."""
        return self._folder.path

    @property
    def settings(self) -> Settings:
        """What the run was made with, as `run.json` says."""
        return self._settings

    @property
    def is_complete(self) -> bool:
        """Whether every image of the source has its row."""
        return self._folder.is_complete

    def table(self, columns: list[str] | None = None, where: Filter = None) -> Any:
        """Return the results as a `pyarrow.Table`, in the order of the source.

        Args:
            columns: The names of the columns; None for all.
            where: An expression of `pyarrow.compute`, such as `field("label_index") == 3`; a function of a row, a
                dict without the heatmaps; or None for all rows.

        Raises:
            OptionError: There is no such column.
        """
        pa = pyarrow()
        shape, kind = self._settings["heatmap_shape"], self._settings["heatmaps"]
        schema = result_schema(shape, kind, {"run": self._settings})
        self._check_columns(columns)
        schema = schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
        return pa.concat_tables([schema.empty_table(), *(table for _, table in self.parts(columns, where))])

    def parts(self, columns: list[str] | None = None, where: Filter = None) -> Iterator[tuple[int, Any]]:
        """Yield the number of each part and its results as a `pyarrow.Table`, one part in memory at a time.

        Args:
            columns: As for `table`.
            where: As for `table`.
        """
        for number in self._folder.parts():
            yield number, self.part(number, columns, where)

    def errors(self) -> Any:
        """Return the images that failed as a `pyarrow.Table`: position, key, label, kind and message."""
        paths = (part_path(self.path, ERRORS, number) for number in self._folder.parts())
        tables = [_read_part(path) for path in paths if path.exists()]
        return pyarrow().concat_tables([error_schema({"run": self._settings}).empty_table(), *tables])

    def features(self) -> Any:
        """Return the `datasets.Features` with which Hugging Face's `datasets` reads the results.

        `datasets.load_dataset("parquet", data_files="out/results/*.parquet", features=output.features())`. The package
        does not know Arrow's tensors: a heatmap is a list of T x u x v numbers in it.

        Raises:
            MissingExtraError: The package `datasets` is not installed.
        """
        try:
            from datasets import Features
        except ModuleNotFoundError as error:
            raise MissingExtraError("For features, the package datasets of Hugging Face", "datasets") from error
        pa, schema = pyarrow(), result_schema(self._settings["heatmap_shape"], self._settings["heatmaps"], {})
        plain = [(each.name, getattr(each.type, "storage_type", each.type)) for each in schema]
        return Features.from_arrow_schema(pa.schema(plain))

    def overlay_paths(self, row: Row) -> list[Path]:
        """Return the paths of the overlays of a row with `position` and `key`, one for each target.

        Raises:
            OptionError: The run was made without overlays.
        """
        if self._settings["overlays"] is None:
            raise OptionError(f"The run in {self.path} has no overlays: it was made without overlays=.")
        targets = self._settings["heatmap_shape"][0]
        return overlay_paths(self.path, row["position"], row["key"], targets, self._settings["overlays"])

    def rows(self, columns: list[str] | None = None, where: Filter = None) -> Iterator[Row]:
        """Yield the results as dicts, in the order of the source; the heatmaps as arrays (T, u, v).

        One part at a time is in memory, whatever the number of rows.

        Args:
            columns: As for `table`.
            where: As for `table`.

        Raises:
            OptionError: There is no such column.
        """
        self._check_columns(columns)
        for number in self._folder.parts():
            for batch in self.part(number, columns, where).to_batches(max_chunksize=BATCH_ROWS):
                if "heatmaps" not in batch.schema.names:
                    yield from batch.to_pylist()
                    continue
                heatmaps = batch.column("heatmaps").to_numpy_ndarray()
                for row, values in zip(batch.drop_columns("heatmaps").to_pylist(), heatmaps, strict=True):
                    yield {**row, "heatmaps": values}

    def explanations(self, where: Filter = None) -> Iterator[Explanation]:
        """Yield the explanations of the results, in the order of the source; their images are read from it again.

        Their heatmaps have the precision of the table, and their predictions are those in it, the most probable.

        Args:
            where: As for `table`.

        Raises:
            ImageError: The source has changed, or an image cannot be read any more.
        """
        source: Source | None = None
        for _, table in self.parts(None, where):
            if not table.num_rows:
                continue
            source = source or self.find_source()
            records = _records(source, table.column("position").to_pylist())
            heatmaps = table.column("heatmaps").combine_chunks().to_numpy_ndarray()
            for row, values in zip(table.drop_columns("heatmaps").to_pylist(), heatmaps, strict=True):
                record = records[row["position"]]
                source_name = os.fspath(record.image) if isinstance(record.image, Path) else row["key"]
                yield explanation_of_row(row, values, decode(record), source_name, self._settings)

    def summary(self) -> dict[str, Any]:
        """Return the numbers of images, errors, predictions and so on, ready for JSON."""
        predictions: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        for _, table in self.parts(["predictions", "targets", "label", "label_index"]):
            for row in table.to_pylist():
                counts["explained"] += 1
                counts["without_evidence"] += not any(target["has_evidence"] for target in row["targets"])
                best = row["predictions"][0] if row["predictions"] else None
                predictions.update([best["name"]] if best else [])
                if row["label_index"] is not None and best:
                    counts["labelled"] += 1
                    counts["misclassified"] += best["index"] != row["label_index"]
                elif row["label"] is not None:
                    unknown[row["label"]] += 1
        errors = Counter(self.errors().column("kind").to_pylist())
        return {
            "complete": self.is_complete,
            "images": self._settings["images"],
            "explained": counts["explained"],
            "failed": sum(errors.values()),
            "errors": dict(errors.most_common()),
            "predictions": dict(predictions.most_common()),
            "labelled": counts["labelled"],
            "misclassified": counts["misclassified"],
            "labels_without_class": dict(unknown.most_common()),
            "without_evidence": counts["without_evidence"],
            **{name: self._settings[name] for name in ("model", "method", "layer", "source")},
        }

    def _check_columns(self, columns: list[str] | None) -> None:
        names = result_schema(self._settings["heatmap_shape"], self._settings["heatmaps"], {}).names
        if unknown := [name for name in columns or () if name not in names]:
            hint = did_you_mean(str(unknown[0]), names)
            raise OptionError(f"There is no column {unknown[0]!r}.{hint} Expected {', '.join(names)}.")

    def part(self, number: int, columns: list[str] | None = None, where: Filter = None) -> Any:
        """Return the results of one part as a `pyarrow.Table`."""
        path, expression = part_path(self.path, RESULTS, number), pyarrow_compute().Expression
        if where is None or isinstance(where, expression):
            return _read_part(path, columns=columns, filters=where)
        table = _read_part(path)
        mask = pyarrow().array([bool(where(row)) for row in table.drop_columns("heatmaps").to_pylist()], "bool")
        table = table.filter(mask)
        return table if columns is None else table.select(columns)

    def find_source(self) -> Source:
        """Return the source of the run, found again.

        Raises:
            ImageError: It has changed since the run.
        """
        settings = self._settings
        options = SourceOptions(**settings["source_options"])
        source = find_source(settings["source"], settings["chunk_size"], options, outside=self.path)
        if source.fingerprint != settings["source_fingerprint"]:
            raise ImageError(f"The source {settings['source']} has changed since the run: it cannot be read back.")
        return source


def open_output(folder: str | os.PathLike[str]) -> Output:
    """Open the output of a run.

    Args:
        folder: The output folder.

    Raises:
        OptionError: The folder is not that of a run, or was written in another version of the schema.
    """
    return Output(folder)


def _read_part(path: Path, **options: Any) -> Any:
    try:
        return pyarrow_parquet().read_table(path, **options)
    except (OSError, pyarrow().ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OutputError(f"{path} cannot be read: {reason}. Explain it again, by the run with resume=True.") from error


def _records(source: Source, positions: list[int]) -> dict[int, Record]:
    """Return the records at these positions, which are those of one part."""
    starts = [chunk.start for chunk in source.chunks]
    chunk = source.chunks[bisect_right(starts, positions[0]) - 1]
    wanted = set(positions)
    return {record.position: record for record in chunk.records() if record.position in wanted}


def explanation_of_row(row: Row, heatmaps: Any, image: ImageArray, source: str, settings: Settings) -> Explanation:
    """Return the explanation that a row holds.

    Args:
        row: The row, without the heatmaps.
        heatmaps: The heatmaps, (T, u, v).
        image: The image, uint8 (H, W, 3).
        source: The path or the name of the image.
        settings: What the run was made with.
    """
    return Explanation(
        image=image,
        heatmaps=np.asarray(heatmaps, np.float32),
        targets=ShortTuple(map(_target_of_row, row["targets"])),
        predictions=ShortTuple(Prediction(**prediction) for prediction in row["predictions"]),
        layer=row["layer"],
        method=row["method"],
        title=settings["title"],
        placement=Placement(
            (row["height"], row["width"]),
            tuple(row["input_on_image"].values()),
            tuple(row["heatmap_on_input"].values()),
        ),
        model=row["model"],
        source=source,
        peak_quantile=settings["peak_quantile"],
        method_reason=settings["method_reason"],
    )


def _target_of_row(target: Mapping[str, Any]) -> TargetResult:
    """Return the target that a row holds; its `box` is that of the heatmap, and `detection` that of the detector."""
    values = {name: value for name, value in target.items() if name not in ("box", "detection")}
    found = target.get("detection")  # which tables of earlier versions do not have
    box = None if found is None else (found["left"], found["top"], found["right"], found["bottom"])
    return TargetResult(**values, box=box)
