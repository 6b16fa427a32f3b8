"""Where the heatmaps of a study are from: SeeWhy's methods, the baselines, and maps of other tools."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seewhy import methods as all_methods
from seewhy.errors import InputError, MethodError, TargetError
from seewhy.evaluate.baselines import centered_gaussian, random_map
from seewhy.evaluate.file_matching import match_files
from seewhy.evaluate.study_settings import checksum, file_checksum
from seewhy.evaluate.tensor_values import as_array
from seewhy.explainer import Explainer, ModelSource, as_classifier
from seewhy.images.geometry import Placement
from seewhy.images.reading import ImageLike, read
from seewhy.methods import Method
from seewhy.models import Prediction
from seewhy.numpy_files import read_npy
from seewhy.results.explanation import Explanation
from seewhy.results.target_result import TargetResult
from seewhy.types import FloatArray, ImageArray


@dataclass(frozen=True, eq=False)
class Subject:
    """One image as all methods explain it.

    Attributes:
        name: Its name in the study.
        pixels: uint8 (H, W, 3).
        placement: Where the model's input lies on it.
        predictions: Every class, the most probable first.
        target: The class that is explained.
        seed: Of this image.
    """

    name: str
    pixels: ImageArray
    placement: Placement
    predictions: tuple[Prediction, ...]
    target: int
    seed: int


class HeatmapSource(Protocol):
    """What makes a heatmap of each image."""

    @property
    def name(self) -> str:
        """The name in tables; no two are the same."""

    @property
    def title(self) -> str:
        """The name in figures."""

    @property
    def is_baseline(self) -> bool:
        """Whether it does not know the model."""

    @property
    def explainer(self) -> Explainer | None:
        """The explainer, for metrics that explain changed images; None for maps that cannot be made again."""

    def explain(self, subject: Subject) -> Explanation:
        """Return the explanation of one image, for one target.

        Raises:
            SeewhyError: There is none.
        """


@dataclass(frozen=True, eq=False)
class MethodSource:
    """A method of SeeWhy."""

    explainer: Explainer
    batch_size: int
    is_baseline: bool = False

    @property
    def name(self) -> str:
        method = self.explainer.method
        defaults = all_methods.get(method.name).options
        changed = {name: value for name, value in method.options.items() if value != defaults.get(name)}
        options = ", ".join(f"{name}={value}" for name, value in changed.items())
        return f"{method.name}({options})" if options else method.name

    @property
    def title(self) -> str:
        return self.explainer.method.title

    def explain(self, subject: Subject) -> Explanation:
        (explanation,) = self.explainer.explain([subject.pixels], [subject.target], batch_size=self.batch_size)
        return explanation


@dataclass(frozen=True, eq=False)
class BaselineSource:
    """A map that does not know the model, (1, 1, u, v), made of a seed."""

    name: str
    title: str
    function: Callable[[int], FloatArray]
    is_baseline: bool = True
    explainer: None = None

    def explain(self, subject: Subject) -> Explanation:
        return _explanation(self, subject, self.function(subject.seed)[0, 0], subject.placement)


BASELINES = (
    BaselineSource("random", "Random map", lambda seed: random_map(1, seed=seed)),
    BaselineSource("gaussian", "Centred Gaussian", lambda _: centered_gaussian(1)),
)
"""The baselines of every study."""


@dataclass(frozen=True, eq=False)
class GivenMaps:
    """Maps of another tool: arrays, or a folder of `.npy` files.

    Attributes:
        maps: The map of each image, by the image's name: an array, or the path of a file.
        unclear: Why it cannot be told which file is an image's, by the image's name.
    """

    name: str
    maps: Mapping[str, NDArray[Any] | Path]
    unclear: Mapping[str, str] = field(default_factory=dict)
    is_baseline: bool = False
    explainer: None = None

    @property
    def title(self) -> str:
        return self.name

    @property
    def checksum(self) -> str:
        """A checksum of the maps: of arrays, and of the contents of files."""
        return checksum([part for name, entry in sorted(self.maps.items()) for part in (name, _content(entry))])

    def explain(self, subject: Subject) -> Explanation:
        heatmap = np.asarray(self._load(subject.name))
        if heatmap.ndim == 3 and len(heatmap) == 1:
            heatmap = heatmap[0]
        if heatmap.ndim != 2 or heatmap.dtype.kind not in "fiub" or not heatmap.size:
            raise InputError(
                f"The map of {self.name!r} for {subject.name} has shape {heatmap.shape} and type {heatmap.dtype}; "
                "expected numbers (u, v), over the model's input, or (H, W), the image's size. Sum over the axis of "
                "colours first."
            )
        return _explanation(self, subject, np.asarray(heatmap, np.float32), _placement(heatmap, subject))

    def _load(self, name: str) -> NDArray[Any]:
        entry = self.maps.get(name)
        if name in self.unclear:
            raise InputError(f"It is not clear which map of {self.name!r} is that of {name}: {self.unclear[name]}.")
        if entry is None:
            raise InputError(f"{self.name!r} has no map for {name}.")
        if not isinstance(entry, Path):
            return entry
        try:
            return read_npy(entry)
        except OSError as error:
            raise InputError(f"The map {entry} cannot be read: {error.strerror or error}.") from error
        except ValueError as error:
            raise InputError(
                f"The map {entry} is not an array in NumPy's format, as `numpy.save` writes it: {error}."
            ) from error


def _content(entry: NDArray[Any] | Path) -> str:
    return file_checksum(entry) if isinstance(entry, Path) else checksum([str(entry.shape), entry.tobytes()])


def find_given_maps(name: str, maps: Path | str | Sequence[Any], images: Sequence[str]) -> GivenMaps:
    """Return the maps of another tool.

    Args:
        name: The tool's name in the tables.
        maps: A map for each image, in their order; or a folder with a file `1.npy` for the image `1.jpg`.
        images: The images' names.

    Raises:
        InputError: There is another number of maps, or the folder has none of an image.
    """
    if not isinstance(maps, (str, Path)):
        if len(maps) != len(images):
            raise InputError(
                f"{len(maps)} maps of {name!r} were given for {len(images)} images; expected one for each."
            )
        return GivenMaps(name, dict(zip(images, (as_array(each, "A map") for each in maps), strict=True)))
    folder = Path(maps)
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.npy"))}
    found = match_files(list(files), images)
    if not found.files and not found.problems:
        example = f"{PurePath(images[0]).stem}.npy for {images[0]}" if images else "1.npy for 1.jpg"
        raise InputError(f"The folder {folder} has a map of {name!r} for none of the images; expected {example}.")
    return GivenMaps(name, {image: files[file] for image, file in found.files.items()}, found.problems)


def explanation_of_map(
    model: ModelSource,
    image: ImageLike,
    heatmap: ArrayLike,
    target: int | str | None = None,
    *,
    name: str = "another tool",
) -> Explanation:
    """Return the explanation that the map of another tool is, to be checked, drawn or saved as one of SeeWhy's.

    Args:
        model: A `Classifier`, a model, or its name or path.
        image: A path, a PIL image or a uint8 array (H, W, 3).
        heatmap: (u, v) over the model's input, or (H, W) over the image; negative values are no evidence.
        target: The class that is explained; None for the most probable one.
        name: The tool's name.

    Returns:
        The explanation, of one target.

    Raises:
        SeewhyError: The map, the image or the class do not fit the model.
    """
    classifier = as_classifier(model)
    pixels = read(image)
    (predictions,) = classifier.predict([pixels])
    index = predictions[0].index if target is None else classifier.find_class(target)
    if not 0 <= index < len(predictions):
        raise TargetError(f"The class {index} is none of the model's, which has {len(predictions)} classes.")
    (placement,) = classifier.preprocess([pixels]).placements
    subject = Subject("the image", pixels, placement, predictions, index, seed=0)
    return GivenMaps(name, {subject.name: as_array(heatmap, "The map")}).explain(subject)


def make_methods(methods: Sequence[str | Method]) -> tuple[Method, ...]:
    """Return methods by their names.

    Raises:
        MethodError: A method is unknown, or there is none.
    """
    if isinstance(methods, (str, Method)):
        methods = [methods]
    if not methods:
        raise MethodError("There is no method to study.")
    return tuple(all_methods.get(method) for method in methods)


def check_names(sources: Sequence[HeatmapSource]) -> None:
    """Raise MethodError if two sources have one name."""
    names = [source.name for source in sources]
    for repeated in _repeated(names):
        raise MethodError(f"The method {repeated!r} is given twice; expected each once, or with other options.")


def _repeated(names: Sequence[str]) -> Iterator[str]:
    return (name for position, name in enumerate(names) if name in names[:position])


def _placement(heatmap: NDArray[Any], subject: Subject) -> Placement:
    """Return where a map of another tool lies: it may have the image's size, or cover the model's input."""
    is_whole = heatmap.shape == subject.placement.image_size
    return _whole_image(subject.placement) if is_whole else subject.placement


def _whole_image(placement: Placement) -> Placement:
    """Return the placement of a heatmap that shows all of the image, of which the model sees a part."""
    (height, width), (top, left, bottom, right) = placement.image_size, placement.box
    rows, columns = bottom - top, right - left
    box = (-top / rows, -left / columns, (height - top) / rows, (width - left) / columns)
    return replace(placement, input_box=box)


def _explanation(source: HeatmapSource, subject: Subject, heatmap: FloatArray, placement: Placement) -> Explanation:
    name, probability = next(
        (each.name, each.probability) for each in subject.predictions if each.index == subject.target
    )
    has_evidence = bool(np.nanmax(heatmap) > 0) if np.isfinite(heatmap).any() else False
    return Explanation(
        image=subject.pixels,
        heatmaps=heatmap[None],
        targets=(TargetResult(subject.target, name, probability, probability, has_evidence),),
        predictions=subject.predictions,
        layer="no layer" if source.is_baseline else "another tool",
        method=source.name,
        title=source.title,
        placement=placement,
    )
