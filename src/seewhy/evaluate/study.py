"""A study: which method should be trusted, for one model and many images, by several metrics with their intervals."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

import seewhy
from seewhy.attribution.checks import check_batch_size
from seewhy.errors import InputError, OptionError, did_you_mean, short_repr, warn
from seewhy.evaluate.annotations import Annotations, GivenMasks, read_coco, read_masks
from seewhy.evaluate.baselines import BASELINES
from seewhy.evaluate.bootstrap import Values, check_statistics
from seewhy.evaluate.labels import Labels, labels_by_folder, labels_from_table
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study_images import Source, StudyImage, find_study_images
from seewhy.evaluate.study_run import ProgressCallback, StudyRun
from seewhy.evaluate.study_settings import StudySettings, checksum
from seewhy.evaluate.study_sources import (
    BaselineSource,
    HeatmapSource,
    MethodSource,
    check_names,
    find_given_maps,
    make_methods,
)
from seewhy.evaluate.study_store import StudyStore
from seewhy.evaluate.study_table import StudyTable, study_table
from seewhy.evaluate.study_values import write_values
from seewhy.evaluate.table import METRICS
from seewhy.explainer import BATCH_SIZE, Explainer, ModelSource, as_classifier
from seewhy.methods import Method
from seewhy.models import Classifier
from seewhy.representation import counted, description, listed
from seewhy.types import BoolArray, LayerSpec, Score

DEFAULT_METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "eigencam")
DEFAULT_METRICS = ("deletion", "insertion")
FOLDER_LABELS: Literal["folder"] = "folder"

LabelSource = str | os.PathLike[str] | Sequence[int | str | None]
MaskSource = str | os.PathLike[str] | Sequence[BoolArray | None]
MapSource = str | Path | Sequence[Any]


class Cost(tuple[str, str, int]):
    """What a metric costs."""


@final
@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """The results of a study.

    Attributes:
        folder: Where they are stored.
        settings: What they depend on.
        images: The names of the N images.
        methods: The names of the M methods, with the maps of other tools and the baselines.
        baselines: The names of the baselines among them.
        metrics: The K metrics, by name.
        problems: What was left out, and why: metrics without annotations, images without labels.
        is_complete: Whether all images were measured.
    """

    folder: Path
    settings: StudySettings
    images: tuple[str, ...]
    methods: tuple[str, ...]
    baselines: tuple[str, ...]
    metrics: Mapping[str, Metric]
    problems: tuple[str, ...]
    is_complete: bool
    sources: tuple[StudyImage, ...] = field(repr=False, default=())
    temporary: Any = field(repr=False, default=None)

    def __repr__(self) -> str:
        state = "" if self.is_complete else ", not complete"
        return description(
            self,
            f"of {self.settings.model}: {counted(len(self.images), 'image')}, {listed(self.methods)}; "
            f"{listed(list(self.metrics))}{state}",
        )

    @property
    def store(self) -> StudyStore:
        """The stored results."""
        return StudyStore(self.folder)

    @cached_property
    def values(self) -> Values:
        """float64 (N, M, K): the value of each image, method and metric; NaN where it is undefined."""
        values = np.full((len(self.images), len(self.methods), len(self.metrics)), np.nan)
        for image, method in np.ndindex(values.shape[:2]):
            found = (self.store.result(image, method) or {}).get("values", {})
            values[image, method] = [np.nan if found.get(name) is None else found[name] for name in self.metrics]
        return values

    @cached_property
    def table(self) -> StudyTable:
        """The statistics: means with intervals, paired differences, and verdicts."""
        metrics = list(self.metrics.values())
        return study_table(self.values, self.methods, self.baselines, metrics, self.settings.seed)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the value of each image, method and metric, a row for each.

        Args:
            path: `.csv`, `.json`, or `.parquet`, which needs the extra `parquet`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another.
            OutputError: The file cannot be written.
        """
        return write_values(self, Path(path))

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a report: one HTML file with the tables, the curves, and the best and worst images in the viewer.

        Args:
            path: `.html` or `.htm`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another.
            OutputError: The file cannot be written.
        """
        from seewhy.evaluate.report import write_study_report

        return write_study_report(self, path)


@final
@dataclass(frozen=True, eq=False)
class StudyPlan:
    """A study that is checked and has not run yet.

    Attributes:
        run: The loop.
        settings: What the results depend on.
        problems: What is left out, and why.
        folder: Where results will be stored; None for a temporary folder.
        is_resumed: Whether results in the folder are continued.
    """

    loop: StudyRun
    settings: StudySettings
    problems: tuple[str, ...]
    folder: Path | None
    is_resumed: bool

    @property
    def forwards(self) -> dict[str, int]:
        """The number of forward passes of each metric for one image and method; explanations for some, see `Metric`."""
        options = self.loop.options
        return {metric.name: metric.forwards(**_known(metric, options)) for metric in self.loop.metrics}

    def run(
        self, progress: ProgressCallback | None = None, should_stop: Callable[[], bool] | None = None
    ) -> Study:
        """Run the study; each result is stored as soon as it is there.

        Args:
            progress: Called after each image.
            should_stop: Called after each image; True ends the run, which can be resumed.
        """
        temporary = tempfile.TemporaryDirectory(prefix="seewhy-study-") if self.folder is None else None
        folder = Path(temporary.name) if temporary is not None else self.folder
        assert folder is not None  # noqa: S101  # one of both is there
        store = StudyStore(folder)
        store.start(self.settings, resume=self.is_resumed)
        is_complete = self.loop.run(store, progress, should_stop)
        return Study(
            folder=folder,
            settings=self.settings,
            images=tuple(image.name for image in self.loop.images),
            methods=tuple(source.name for source in self.loop.sources),
            baselines=tuple(source.name for source in self.loop.sources if source.is_baseline),
            metrics={metric.name: metric for metric in self.loop.metrics},
            problems=self.problems,
            is_complete=is_complete,
            sources=tuple(self.loop.images),
            temporary=temporary,
        )


def study(
    model: ModelSource,
    images: Source,
    methods: Sequence[str | Method] = DEFAULT_METHODS,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    progress: ProgressCallback | None = None,
    **options: Any,
) -> Study:
    """Measure methods by metrics on images, with intervals and two baselines.

    The class that is explained is the image's label; without labels, its most probable class. Two maps that do not know
    the model are always among the methods: a random map and a Gaussian in the centre.

    Args:
        model: A `Classifier`, a model, or its name or path.
        images: A path, a folder or a pattern such as "photos/*.jpg"; an image; or several of those.
        methods: Names of methods, or methods with options.
        metrics: Names in `seewhy.evaluate.METRICS`.
        progress: Called with a `Progress` after each image.
        **options: As for `prepare`: `labels`, `boxes`, `masks`, `maps`, `out`, `resume`, `layer`, `score`, `steps`,
            `batch_size` and `seed`.

    Returns:
        The study: values, statistics, report.

    Raises:
        SeewhyError: The study is not possible; the message says why. What concerns one image, method or metric is
            recorded, and the rest is measured.
    """
    plan = prepare(model, images, methods, metrics, **options)
    for problem in plan.problems:
        warn(problem)
    return plan.run(progress)


def prepare(
    model: ModelSource,
    images: Source,
    methods: Sequence[str | Method] = DEFAULT_METHODS,
    metrics: Sequence[str] = DEFAULT_METRICS,
    *,
    labels: LabelSource | None = None,
    boxes: str | os.PathLike[str] | None = None,
    masks: MaskSource | None = None,
    maps: Mapping[str, MapSource] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    layer: LayerSpec = "auto",
    score: Score = "logit",
    steps: int | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
) -> StudyPlan:
    """Check a study, without running it.

    Args:
        model: As for `study`; the first four arguments likewise.
        labels: The true classes: "folder" for the names of the images' folders; the path of a CSV file with the columns
            image and label; or a class for each image, None where it is unknown.
        boxes: A file with boxes in COCO's format.
        masks: A folder with a mask for each image, `1.png` for `1.jpg`; or a mask (H, W) for each.
        maps: Maps of other tools by the tool's name: a folder with `1.npy` for `1.jpg`, or an array for each image;
            (u, v) over the model's input, or (H, W) over the image.
        out: The folder of the results; None keeps them in a temporary folder as long as the study is in use.
        resume: Continue the study in that folder.
        layer: The layer to explain, as for `Explainer`.
        score: What is explained, as for `Explainer`.
        steps: The number of steps of curves; None for the default of each metric.
        batch_size: How many perturbed inputs run at once.
        seed: Determines everything random.

    Raises:
        SeewhyError: The study is not possible; the message says why.
    """
    check_statistics()
    _check_numbers(steps, batch_size, seed)
    chosen, checked = find_metrics(metrics), make_methods(methods)
    found = find_study_images(images)
    store = None if out is None else StudyStore(Path(out))
    if store is not None and not resume:
        store.check_new()  # before a model is loaded
    if resume and store is None:
        raise OptionError("There is nothing to resume without a folder: give out=.")
    classifier = as_classifier(model)
    names = [image.name for image in found]
    true_classes, annotations = _labels(labels, names, classifier), _annotations(boxes, masks, names, classifier)
    measured, problems = _measurable(chosen, annotations)
    sources: list[HeatmapSource] = [
        MethodSource(Explainer(classifier, method, layer, score), batch_size) for method in checked
    ]
    sources += [find_given_maps(name, given, names) for name, given in (maps or {}).items()]
    sources += [BaselineSource(each.name, each.title, each.function) for each in BASELINES.values()]
    check_names(sources)
    options = {"steps": steps, "batch_size": batch_size}
    loop = StudyRun(
        classifier=classifier,
        images=found,
        sources=tuple(sources),
        metrics=measured,
        labels=true_classes,
        annotations=annotations,
        options={name: value for name, value in options.items() if value is not None},
        seed=seed,
    )
    settings = _settings(loop, layer=str(layer), score=score, steps=steps or 0, batch_size=batch_size, maps=maps or {})
    problems += _label_problems(true_classes) if labels is not None else []
    problems += _annotation_problems(annotations)
    folder = None if store is None else store.folder
    return StudyPlan(loop, settings, tuple(problems), folder, is_resumed=resume)


def find_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Return metrics by their names.

    Raises:
        OptionError: A metric is unknown, is given twice, or there is none.
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise OptionError("There is no metric to measure.")
    for name in names:
        if name not in METRICS:
            raise OptionError(
                f"Unknown metric {short_repr(name)}; known: {', '.join(METRICS)}.{did_you_mean(str(name), METRICS)}"
            )
        if names.count(name) > 1:
            raise OptionError(f"The metric {name!r} is given twice.")
    return tuple(METRICS[name] for name in names)


def _check_numbers(steps: int | None, batch_size: int, seed: int) -> None:
    check_batch_size(batch_size)
    for name, value, least in (("steps", 1 if steps is None else steps, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise OptionError(f"{name} is {short_repr(value)}; expected a whole number from {least}.")


def _labels(labels: LabelSource | None, names: Sequence[str], classifier: Classifier) -> Labels:
    if labels is None:
        return Labels(missing=names)
    if labels == FOLDER_LABELS:
        return labels_by_folder(names, classifier)
    if isinstance(labels, (str, os.PathLike)):
        return labels_from_table(Path(labels), names, classifier)
    if len(labels) != len(names):
        raise InputError(f"{len(labels)} labels were given for {len(names)} images; expected one for each.")
    pairs = list(zip(names, labels, strict=True))
    classes = {name: classifier.find_class(label) for name, label in pairs if label is not None}
    return Labels(classes, missing=[name for name, label in pairs if label is None])


def _annotations(
    boxes: str | os.PathLike[str] | None, masks: MaskSource | None, names: Sequence[str], classifier: Classifier
) -> Annotations | None:
    if boxes is not None and masks is not None:
        raise OptionError("Boxes and masks were given; expected one of them.")
    if boxes is not None:
        return read_coco(Path(boxes), names, classifier)
    if isinstance(masks, (str, os.PathLike)):
        return read_masks(Path(masks), names)
    if masks is None:
        return None
    if len(masks) != len(names):
        raise InputError(f"{len(masks)} masks were given for {len(names)} images; expected one for each, or None.")
    return GivenMasks(dict(zip(names, masks, strict=True)))


def _measurable(metrics: Sequence[Metric], annotations: Annotations | None) -> tuple[tuple[Metric, ...], list[str]]:
    """Return the metrics that can be measured, and why others cannot."""
    unable = [metric for metric in metrics if metric.needs == "annotations" and annotations is None]
    able = tuple(metric for metric in metrics if metric not in unable)
    if not unable:
        return able, []
    names = listed([metric.name for metric in unable])
    problem = f"No annotations were given, and {names} {'needs' if len(unable) == 1 else 'need'} them: give boxes or masks."
    if not able:
        raise OptionError(problem)
    return able, [f"{problem} The other metrics are measured."]


def _label_problems(labels: Labels) -> list[str]:
    problems = []
    if labels.missing:
        problems.append(
            f"{counted(len(labels.missing), 'image')} without a label, of which the most probable class is explained: "
            f"{listed(labels.missing)}."
        )
    if labels.problems:
        problems.append(
            f"{counted(len(labels.problems), 'image')} left out, for a label is not a class of the model: "
            f"{listed([f'{name} ({problem})' for name, problem in labels.problems.items()])}."
        )
    if labels.unused:
        problems.append(f"{counted(len(labels.unused), 'label')} of images that are not there: {listed(labels.unused)}.")
    return problems


def _annotation_problems(annotations: Annotations | None) -> list[str]:
    if annotations is None or not annotations.unused:
        return []
    return [f"{annotations.source} also annotates {counted(annotations.unused, 'image')} that {_are(annotations)} not there."]


def _are(annotations: Annotations) -> str:
    return "is" if annotations.unused == 1 else "are"


def _settings(
    loop: StudyRun, *, layer: str, score: str, steps: int, batch_size: int, maps: Mapping[str, MapSource]
) -> StudySettings:
    """Return what the results depend on."""
    classifier = loop.classifier
    size = classifier.input_size
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    first = classifier.predict([noise])[0][0]
    labels = [f"{name} {index}" for name, index in sorted(loop.labels.classes.items())]
    labels += sorted(loop.labels.problems)
    return StudySettings(
        seewhy=seewhy.__version__,
        model=str(classifier.name),
        framework=classifier.framework.name,
        noise_prediction=f"{first.name} {first.probability:.3g}",
        layer=layer,
        score=score,
        methods=tuple(source.name for source in loop.sources),
        metrics=tuple(metric.name for metric in loop.metrics),
        steps=steps,
        batch_size=batch_size,
        seed=loop.seed,
        images=f"{counted(len(loop.images), 'image')} ({checksum(image.checksum for image in loop.images)})",
        labels=checksum(labels) if loop.labels.classes else "none",
        annotations="none" if loop.annotations is None else _annotation_checksum(loop.annotations, loop.images),
    )


def _annotation_checksum(annotations: Annotations, images: Sequence[StudyImage]) -> str:
    return checksum([annotations.source])


def _known(metric: Metric, options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in metric.options}
