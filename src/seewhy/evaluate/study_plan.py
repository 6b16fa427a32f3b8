"""Preparing a study: everything that can be checked before it runs."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from seewhy.attribution.checks import check_batch_size
from seewhy.errors import InputError, OptionError, did_you_mean, short_repr
from seewhy.evaluate.annotation_files import Annotations, CocoBoxes, GivenMasks, read_coco, read_masks
from seewhy.evaluate.bootstrap import check_statistics
from seewhy.evaluate.enumeration import enumerated
from seewhy.evaluate.labels import Labels, labels_by_folder, labels_from_table
from seewhy.evaluate.metric import Metric
from seewhy.evaluate.study_images import Source, find_study_images
from seewhy.evaluate.study_progress import ProgressCallback
from seewhy.evaluate.study_result import Study
from seewhy.evaluate.study_run import StudyRun
from seewhy.evaluate.study_settings import StudySettings, checksum
from seewhy.evaluate.study_sources import (
    BASELINES,
    GivenMaps,
    HeatmapSource,
    MethodSource,
    check_names,
    find_given_maps,
    make_methods,
)
from seewhy.evaluate.study_store import StudyStore
from seewhy.evaluate.table import METRICS
from seewhy.evaluate.temporary_folder import TemporaryFolder
from seewhy.evaluate.tensor_values import as_list
from seewhy.explainer import BATCH_SIZE, Explainer, ModelSource, as_classifier
from seewhy.methods import Method
from seewhy.methods.checks import fraction
from seewhy.models import Classifier
from seewhy.representation import counted
from seewhy.types import BoolArray, LayerSpec, Score

_logger = logging.getLogger("seewhy.evaluate")

DEFAULT_METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "eigencam")
DEFAULT_METRICS = ("deletion", "insertion")
FOLDER_LABELS: Literal["folder"] = "folder"

LabelSource = str | os.PathLike[str] | Sequence[int | str | None]
MaskSource = str | os.PathLike[str] | Sequence[BoolArray | None]
MapSource = str | Path | Sequence[Any]


@final
@dataclass(frozen=True, eq=False)
class StudyPlan:
    """A study that is checked and has not run yet.

    Attributes:
        loop: What measures the images.
        settings: What the results depend on.
        problems: What is left out, and why.
        folder: Where results will be stored; None for a temporary folder.
        is_resumed: Whether results in the folder are continued.
        has_omissions: Whether metrics are left out.
    """

    loop: StudyRun
    settings: StudySettings
    problems: tuple[str, ...]
    folder: Path | None
    is_resumed: bool
    has_omissions: bool = False

    @property
    def forwards(self) -> dict[str, int]:
        """The number of forward passes of each metric for one image and method; explanations for some, see `Metric`."""
        options = self.loop.options
        return {metric.name: metric.forwards(**_known(metric, options)) for metric in self.loop.metrics}

    def run(self, progress: ProgressCallback | None = None, should_stop: Callable[[], bool] | None = None) -> Study:
        """Run the study; each result is stored as soon as it is there.

        Args:
            progress: Called after each image.
            should_stop: Called after each image; True ends the run, which can be resumed.
        """
        temporary = TemporaryFolder() if self.folder is None else None
        folder = temporary.path if temporary is not None else self.folder
        assert folder is not None  # noqa: S101  # one of both is there
        store = StudyStore(folder)
        store.start(self.settings, resume=self.is_resumed)
        _logger.info(
            "%s %d images by %d methods and %d metrics, in %s",
            "continuing with" if self.is_resumed else "measuring",
            len(self.loop.images),
            len(self.loop.sources),
            len(self.loop.metrics),
            folder,
        )
        is_complete = self.loop.run(store, progress, should_stop)
        _logger.info("the study in %s is %s", folder, "complete" if is_complete else "not complete yet")
        return Study(
            folder=folder,
            settings=self.settings,
            images=tuple(image.name for image in self.loop.images),
            methods=tuple(source.name for source in self.loop.sources),
            baselines=tuple(source.name for source in self.loop.sources if source.is_baseline),
            metrics={metric.name: metric for metric in self.loop.metrics},
            problems=self.problems,
            is_complete=is_complete,
            has_omissions=self.has_omissions,
            sources=tuple(self.loop.images),
            temporary=temporary,
        )


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
    min_confidence: float | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    recursive: bool = True,
    limit: int | None = None,
) -> StudyPlan:
    """Check a study, without running it; the arguments are those of `study`.

    Raises:
        SeewhyError: The study is not possible; the message says why.
    """
    check_statistics()
    _check_numbers(steps, min_confidence, batch_size, seed)
    chosen, checked = find_metrics(metrics), make_methods(methods)
    found = find_study_images(images, recursive=recursive, limit=limit)
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
    sources += BASELINES
    check_names(sources)
    options = {"steps": steps, "min_confidence": min_confidence, "batch_size": batch_size}
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
    settings = _settings(loop, layer=str(layer), score=score)
    problems += _label_problems(true_classes) if labels is not None else []
    problems += _annotation_problems(annotations)
    folder = None if store is None else store.folder
    has_omissions = len(measured) < len(chosen)
    return StudyPlan(loop, settings, tuple(problems), folder, is_resumed=resume, has_omissions=has_omissions)


def find_metrics(names: Sequence[str]) -> tuple[Metric, ...]:
    """Return metrics by their names, or by the names of their families.

    Raises:
        OptionError: A metric is unknown, or there is none.
    """
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise OptionError("There is no metric to measure.")
    families = {metric.family for metric in METRICS.values()}
    found: dict[str, Metric] = {}
    for name in names:
        if name not in METRICS and name not in families:
            near = did_you_mean(str(name), [*METRICS, *families])
            raise OptionError(
                f"Unknown metric {short_repr(name)}.{near} Known: {', '.join(METRICS)}; and the families "
                f"{', '.join(sorted(families))}."
            )
        found |= {metric.name: metric for metric in METRICS.values() if name in (metric.name, metric.family)}
    return tuple(found.values())


def _check_numbers(steps: int | None, min_confidence: float | None, batch_size: int, seed: int) -> None:
    check_batch_size(batch_size)
    if min_confidence is not None:
        fraction("min_confidence", min_confidence)
    for name, value, least in (("steps", 1 if steps is None else steps, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise OptionError(f"{name} is {short_repr(value)}; expected a whole number from {least}.")


def _labels(labels: LabelSource | None, names: Sequence[str], classifier: Classifier) -> Labels:
    if labels is None:
        return Labels(missing=names)
    if isinstance(labels, str) and labels == FOLDER_LABELS:
        return labels_by_folder(names, classifier)
    if isinstance(labels, (str, os.PathLike)):
        return labels_from_table(Path(labels), names, classifier)
    given: Sequence[int | str | None] = as_list(labels)
    if len(given) != len(names):
        raise InputError(f"{len(given)} labels were given for {len(names)} images; expected one for each.")
    pairs = list(zip(names, given, strict=True))
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
    names = enumerated([metric.name for metric in unable])
    problem = (
        f"No annotations were given, and {names} {'needs' if len(unable) == 1 else 'need'} them: give boxes or masks."
    )
    if not able:
        raise OptionError(problem)
    return able, [f"{problem} The other metrics are measured."]


def _label_problems(labels: Labels) -> list[str]:
    problems = []
    if labels.missing:
        problems.append(
            f"{counted(len(labels.missing), 'image')} without a label, of which the most probable class is explained: "
            f"{enumerated(labels.missing)}."
        )
    if labels.problems:
        problems.append(
            f"{counted(len(labels.problems), 'image')} left out because of the label: "
            f"{enumerated([f'{name} ({problem})' for name, problem in labels.problems.items()])}."
        )
    if labels.unused:
        problems.append(
            f"{counted(len(labels.unused), 'label')} of images that are not there: {enumerated(labels.unused)}."
        )
    return problems


def _annotation_problems(annotations: Annotations | None) -> list[str]:
    problems = []
    if isinstance(annotations, CocoBoxes) and not annotations.has_classes:
        problems.append(f"No category of {annotations.source} is a class of the model, so all boxes of an image count.")
    if annotations is not None and annotations.unused:
        are = "is" if annotations.unused == 1 else "are"
        problems.append(
            f"{annotations.source} also annotates {counted(annotations.unused, 'image')} that {are} not there."
        )
    return problems


def _settings(loop: StudyRun, *, layer: str, score: str) -> StudySettings:
    """Return what the results depend on."""
    classifier = loop.classifier
    size = classifier.input_size
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    first = classifier.predict([noise])[0][0]
    labels = [f"{name} {index}" for name, index in sorted(loop.labels.classes.items())]
    labels += sorted(loop.labels.problems)
    return StudySettings(
        seewhy=version("seewhy"),
        model=str(classifier.name),
        framework=classifier.framework.name,
        noise_prediction=f"{first.name} {first.probability:.3g}",
        layer=layer,
        score=score,
        methods=tuple(source.name for source in loop.sources),
        metrics=tuple(metric.name for metric in loop.metrics),
        steps=loop.options.get("steps", 0),
        min_confidence=loop.options.get("min_confidence", "default"),
        batch_size=loop.options["batch_size"],
        seed=loop.seed,
        images=f"{counted(len(loop.images), 'image')} ({checksum(image.checksum for image in loop.images)})",
        labels=checksum(labels) if loop.labels.classes else "none",
        maps=_maps_checksum(loop.sources),
        annotations="none" if loop.annotations is None else loop.annotations.checksum,
    )


def _maps_checksum(sources: Sequence[HeatmapSource]) -> str:
    given = [source for source in sources if isinstance(source, GivenMaps)]
    return checksum(source.checksum for source in given) if given else "none"


def _known(metric: Metric, options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in metric.options}
