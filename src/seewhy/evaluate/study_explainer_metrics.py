"""The metrics that explain changed images or models: measured for many images at once, after all others.

A mosaic needs several images, and putting random weights into a model takes as long for one image as for many.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seewhy.errors import SeewhyError
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.metric_values import CurveRecord, add_value, metric_values
from seewhy.evaluate.study_images import StudyImage
from seewhy.evaluate.study_progress import Progress, ProgressCallback
from seewhy.evaluate.study_sources import HeatmapSource
from seewhy.evaluate.study_store import StudyStore

AT_ONCE = 16
"""How many images are measured at once."""

OVER_ALL = ("grid_pointing_game",)
"""The metrics that need all images at once, and read a few of them at a time."""

Value = tuple[float | None, CurveRecord | None]


@dataclass(frozen=True, eq=False)
class ExplainerMetrics:
    """What measures them.

    Attributes:
        images: The images of the study.
        sources: The methods, maps of other tools, and baselines.
        metrics: All metrics of the study.
        options: As for `StudyRun`.
        seed: Of the study.
    """

    images: Sequence[StudyImage]
    sources: Sequence[HeatmapSource]
    metrics: Sequence[Metric]
    options: Mapping[str, Any]
    seed: int

    def measure(
        self, store: StudyStore, progress: ProgressCallback | None, should_stop: Callable[[], bool] | None
    ) -> bool:
        """Measure what is missing; return whether all is there. The arguments are those of `StudyRun.run`."""
        parts = list(self._missing(store))
        for done, (metric, method, images) in enumerate(parts):
            if should_stop is not None and should_stop():
                return False
            problems = self._measure(store, metric, method, images)
            if progress is not None:
                stage = f"{metric.name} of {self.sources[method].name}"
                progress(Progress(done + 1, len(parts), is_resumed=False, problems=problems, stage=stage))
        self._add_chances(store)
        return True

    def _missing(self, store: StudyStore) -> Iterator[tuple[Metric, int, list[int]]]:
        """Yield a metric, a method, and some images without a value."""
        for metric in self.metrics:
            if metric.needs != "explainer":
                continue
            for method, source in enumerate(self.sources):
                if source.explainer is None:
                    continue
                explained = [image for image in range(len(self.images)) if self._is_explained(store, image, method)]
                missing = [image for image in explained if not self._has_value(store, image, method, metric)]
                if metric.name in OVER_ALL:
                    yield from [(metric, method, explained)] if missing else []
                else:
                    yield from (
                        (metric, method, missing[start : start + AT_ONCE]) for start in range(0, len(missing), AT_ONCE)
                    )

    def _is_explained(self, store: StudyStore, image: int, method: int) -> bool:
        record = store.result(image, method)
        return record is not None and record["error"] is None and record["map"] != "not finite"

    def _has_value(self, store: StudyStore, image: int, method: int, metric: Metric) -> bool:
        record = store.result(image, method) or {}
        return metric.name in record["values"] or metric.name in record["errors"]

    def _measure(self, store: StudyStore, metric: Metric, method: int, images: list[int]) -> tuple[str, ...]:
        """Measure some images, one by one if they cannot be measured together; return what went wrong."""
        try:
            values = self._values(store, metric, method, images)
        except SeewhyError as error:
            if len(images) > 1 and metric.name not in OVER_ALL:
                return tuple(problem for image in images for problem in self._measure(store, metric, method, [image]))
            for image in images:
                record = store.result(image, method) or {}
                record["errors"][metric.name] = str(error)
                store.write_result(image, method, record, None)
            name = self.images[images[0]].name if len(images) == 1 else f"{len(images)} images"
            return (f"{name}: {metric.name} of {self.sources[method].name}: {error}",)
        for image, value in zip(images, values, strict=True):
            record = store.result(image, method) or {}
            add_value(record, metric.name, *value)
            store.write_result(image, method, record, None)
        return ()

    def _values(self, store: StudyStore, metric: Metric, method: int, images: list[int]) -> list[Value]:
        sources = [self.images[image].image for image in images]
        targets = [[(store.image(image) or {})["target"]] for image in images]
        arguments = (self.sources[method].explainer, sources, targets)
        return metric_values(metric, arguments, {"seed": self.seed, **self.options}, len(images))

    def _add_chances(self, store: StudyStore) -> None:
        """Give baselines what they have by chance in mosaics: of four images, one holds a quarter of the energy."""
        for metric in self.metrics:
            if metric.name != "grid_pointing_game":
                continue
            chance = 1 / metric.options["grid"] ** 2
            for image in range(len(self.images)):
                records = [store.result(image, method) or {} for method in range(len(self.sources))]
                is_measured = any(record.get("values", {}).get(metric.name) is not None for record in records)
                for method, source in enumerate(self.sources):
                    if is_measured and source.is_baseline:
                        records[method]["values"][metric.name] = chance
                        store.write_result(image, method, records[method], None)
