"""The loop of a study: each image, each method, each metric; results are stored as they come."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seewhy.errors import InputError, SeewhyError
from seewhy.evaluate.annotation_files import Annotations, ObjectMask
from seewhy.evaluate.heatmap_stack import heatmap_stack
from seewhy.evaluate.labels import Labels
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.metric_values import add_value, metric_values
from seewhy.evaluate.study_explainer_metrics import ExplainerMetrics
from seewhy.evaluate.study_images import StudyImage
from seewhy.evaluate.study_progress import Progress, ProgressCallback
from seewhy.evaluate.study_sources import HeatmapSource, Subject
from seewhy.evaluate.study_store import Record, StudyStore
from seewhy.images.reading import read
from seewhy.models import Classifier
from seewhy.results.explanation import Explanation
from seewhy.types import FloatArray

SHOWN_PREDICTIONS = 5

MapState = Literal["ok", "zero", "constant", "not finite"]
"""What a heatmap is: "zero" shows no evidence, a "constant" one orders no pixels, "not finite" has NaN or infinity."""


@dataclass(frozen=True, eq=False)
class StudyRun:
    """Everything that the loop needs.

    Attributes:
        classifier: The model.
        images: The images.
        sources: The methods, the maps of other tools, and the baselines.
        metrics: The metrics.
        labels: The true classes.
        annotations: Where objects are; None where that is not known.
        options: `steps`, `batch_size` and others; each metric gets those that it has.
        seed: Of the study.
    """

    classifier: Classifier
    images: Sequence[StudyImage]
    sources: Sequence[HeatmapSource]
    metrics: Sequence[Metric]
    labels: Labels
    annotations: Annotations | None
    options: dict[str, Any]
    seed: int

    def run(self, store: StudyStore, progress: ProgressCallback | None, should_stop: Callable[[], bool] | None) -> bool:
        """Measure all images that are not finished; return whether all are.

        Args:
            store: Where results are.
            progress: Called after each image.
            should_stop: Called after each image; True ends the run.
        """
        for position, image in enumerate(self.images):
            is_resumed = store.image(position) is not None
            if not is_resumed:
                store.write_image(position, self._measure_image(position, image, store))
            if progress is not None:
                problems = () if is_resumed else _problems(store, position, len(self.sources))
                progress(Progress(position + 1, len(self.images), is_resumed, problems))
            is_last = position + 1 == len(self.images)
            if not is_last and should_stop is not None and should_stop():
                return False
        return ExplainerMetrics(self.images, self.sources, self.metrics, self.options, self.seed).measure(
            store, progress, should_stop
        )

    def _measure_image(self, position: int, image: StudyImage, store: StudyStore) -> Record:
        """Measure one image with all methods; an image that cannot be measured is recorded with the reason."""
        record: Record = {"image": image.name, "label": self._label(image.name), "error": None, "problems": []}
        try:
            subject = self._subject(position, image)
        except SeewhyError as error:
            return record | {"error": str(error)}
        mask = ObjectMask(None)
        if self.annotations is not None:
            mask = self.annotations.mask(image.name, subject.placement.image_size, subject.target)
        for number, source in enumerate(self.sources):
            if store.result(position, number) is None:
                result, heatmap = self._measure(source, subject, mask)
                store.write_result(position, number, result, heatmap)
        predicted = subject.predictions[0]
        return record | {
            "problems": list(mask.problems),
            "target": subject.target,
            "target_name": self.classifier.class_name(subject.target),
            "predicted": predicted.index,
            "predicted_name": predicted.name,
            "probability": next(each.probability for each in subject.predictions if each.index == subject.target),
        }

    def _label(self, name: str) -> int | None:
        label = self.labels.classes.get(name)
        return self.annotations.label(name) if label is None and self.annotations is not None else label

    def _subject(self, position: int, image: StudyImage) -> Subject:
        """Read an image and decide what is explained: its true class, or the most probable one."""
        if image.name in self.labels.problems:
            raise InputError(self.labels.problems[image.name])
        pixels = read(image.image)
        (predictions,) = self.classifier.predict([pixels])
        label = self._label(image.name)
        classes = {each.index for each in predictions}
        if label is not None and label not in classes:
            raise InputError(f"its label is class {label}, and the model has classes 0 to {len(classes) - 1}")
        (placement,) = self.classifier.preprocess([pixels]).placements
        seed = int(np.random.SeedSequence([self.seed, position]).generate_state(1)[0])
        target = predictions[0].index if label is None else label
        return Subject(image.name, pixels, placement, predictions, target, seed)

    def _measure(self, source: HeatmapSource, subject: Subject, mask: ObjectMask) -> tuple[Record, FloatArray | None]:
        """Return the values of one image for one method, and its heatmap."""
        record: Record = {"method": source.name, "error": None, "map": None, "values": {}, "curves": {}, "errors": {}}
        try:
            explanation = source.explain(subject)
        except SeewhyError as error:
            return {**record, "error": str(error)}, None
        heatmap = explanation.heatmaps[0]
        record |= {"map": _state(heatmap)} | _facts(explanation)
        for metric in self.metrics:
            self._add_value(record, metric, source, subject, explanation, mask)
        return record, heatmap

    def _add_value(
        self,
        record: Record,
        metric: Metric,
        source: HeatmapSource,
        subject: Subject,
        explanation: Explanation,
        mask: ObjectMask,
    ) -> None:
        """Add the value of a metric; None where it is undefined, with the reason where that is an error."""
        if metric.needs == "explainer" and source.explainer is not None:
            return  # measured later, for many images at once
        record["values"][metric.name] = None
        arguments = _arguments(metric, self.classifier, subject, explanation, mask)
        if record["map"] == "not finite" or arguments is None:
            return
        try:
            values = metric_values(metric, arguments, {"seed": subject.seed, **self.options}, 1)
        except SeewhyError as error:
            record["errors"][metric.name] = str(error)
            return
        add_value(record, metric.name, *values[0])


def _arguments(
    metric: Metric, classifier: Classifier, subject: Subject, explanation: Explanation, mask: ObjectMask
) -> tuple[Any, ...] | None:
    """Return what a metric takes for one image; None where there is no such thing."""
    if metric.needs == "heatmaps":
        # At one size for all methods: values of maps of different resolutions do not compare.
        return (heatmap_stack([explanation]).on_input(0, classifier.input_size)[None],)
    if metric.needs == "annotations":
        return None if mask.pixels is None else ([explanation], mask.pixels[None])
    return (classifier, [subject.pixels], [explanation]) if metric.needs == "classifier" else None


def _state(heatmap: FloatArray) -> MapState:
    if not np.isfinite(heatmap).all():
        return "not finite"
    if not (heatmap > 0).any():
        return "zero"
    return "constant" if (heatmap == heatmap.flat[0]).all() else "ok"


def _facts(explanation: Explanation) -> Record:
    """Return what the viewer needs of an explanation besides its heatmap and the image."""
    target = explanation.targets[0]
    return {
        "title": explanation.title,
        "layer": explanation.layer,
        "model": explanation.model,
        "peak_quantile": explanation.peak_quantile,
        "target": [target.index, target.name, target.score, target.probability, target.has_evidence],
        "predictions": [list(each) for each in explanation.predictions[:SHOWN_PREDICTIONS]],
        "image_size": list(explanation.placement.image_size),
        "box": list(explanation.placement.box),
        "input_box": list(explanation.placement.input_box),
    }


def _problems(store: StudyStore, position: int, methods: int) -> tuple[str, ...]:
    """Return what went wrong with an image, each message once."""
    image = store.image(position) or {}
    messages = [image["error"]] if image.get("error") else []
    for number in range(methods):
        result = store.result(position, number) or {}
        messages += [f"{result['method']}: {result['error']}"] if result.get("error") else []
        messages += [f"{metric} of {result['method']}: {text}" for metric, text in result.get("errors", {}).items()]
    return tuple(f"{image.get('image')}: {message}" for message in dict.fromkeys(messages))
