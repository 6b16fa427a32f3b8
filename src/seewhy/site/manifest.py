"""The manifest of a site, `site.json`: what its page has to know of the model and of the other files."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

from seewhy.errors import ModelError
from seewhy.images.geometry import InputBox
from seewhy.models import ClassNames, Preprocessing
from seewhy.models.preprocessing import Resample
from seewhy.viewer.viewer_data import viewer_header
from seewhy.viewer.viewer_format import ViewerHeader

FORMAT, VERSION = "seewhy-site", 1


@dataclass(frozen=True)
class SiteModel:
    """An exported model, and how its outputs are to be understood.

    Attributes:
        content: The ONNX file: `image`, uint8 (N, h, w, 3), to `scores` and `probabilities`, (N, C), and `heatmaps`,
            (N, T, u, v); and `classes`, (N, T), if it has heatmaps of the most probable classes only.
        name: The name of the model.
        method: The name of the method.
        title: The name of the method as it is shown.
        layer: The path of the layer.
        input_box: Where on the input the heatmaps are.
        preprocessing: How a photo becomes the input, up to its pixels: the rest is in the graph.
        class_names: The names of the classes, where they are known.
        class_count: C.
        top: T, if the heatmaps are those of the T most probable classes; else None.
        classes: The classes of the heatmaps, if they are always the same and not all; else None.
        peak_quantile: The quantile of a heatmap that is drawn as 1; 1.0 is its maximum.
    """

    content: bytes
    name: str
    method: str
    title: str
    layer: str
    input_box: InputBox
    preprocessing: Preprocessing
    class_names: ClassNames | None
    class_count: int
    top: int | None = None
    classes: tuple[int, ...] | None = None
    peak_quantile: float = 1.0


class FileData(TypedDict):
    """A file that the page loads with progress: its path, its size, and a text that no other version of it has."""

    path: str
    bytes: int
    version: str


class RuntimeData(TypedDict):
    """ONNX Runtime Web: the path of its script, and the file that it runs."""

    script: str
    wasm: FileData


class ModelData(TypedDict):
    """The model: its name, and its file."""

    name: str
    file: FileData


class MethodData(TypedDict):
    """The method: its name, and its name as it is shown."""

    name: str
    title: str


class PreprocessingData(TypedDict):
    """How the pixels of the input are made, as in `Preprocessing`."""

    size: tuple[int, int]
    crop: float | None
    resize: int | tuple[int, int] | None
    resample: Resample


class SiteManifest(TypedDict):
    """The manifest.

    Attributes:
        format: "seewhy-site".
        version: 1.
        model: The model.
        runtime: What runs it.
        method: The method.
        layer: The path of the layer.
        input_box: [top, left, bottom, right] of the heatmaps on the input, as shares of its height and width.
        preprocessing: How the input is made.
        class_names: The name of each class, or None.
        class_ids: The wnid or another id of each class, or None.
        class_count: The number of classes.
        top: The number of heatmaps, if they are those of the most probable classes; else None.
        classes: The class of each heatmap, if they are always the same; None for all classes, and where `top` is given.
        peak_quantile: The quantile of a heatmap that is drawn as 1.
        viewer: The viewer's input without its images.
        files: The paths of the other files of the site: those that are not needed any more are removed when the site is
            replaced.
    """

    format: str
    version: int
    model: ModelData
    runtime: RuntimeData
    method: MethodData
    layer: str
    input_box: InputBox
    preprocessing: PreprocessingData
    class_names: list[str] | None
    class_ids: list[str] | None
    class_count: int
    top: int | None
    classes: list[int] | None
    peak_quantile: float
    viewer: ViewerHeader
    files: list[str]


def site_manifest(model: SiteModel, model_file: FileData, runtime: RuntimeData, files: Iterable[str]) -> SiteManifest:
    """Return the manifest of a site.

    Raises:
        ModelError: The model has another number of class names than of classes.
    """
    names, preprocessing = model.class_names, model.preprocessing
    if names is not None and len(names) != model.class_count:
        raise ModelError(f"The model has {model.class_count} classes and {len(names)} class names; give one for each.")
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": {"name": model.name, "file": model_file},
        "runtime": runtime,
        "method": {"name": model.method, "title": model.title},
        "layer": model.layer,
        "input_box": model.input_box,
        "preprocessing": {
            "size": preprocessing.size,
            "crop": preprocessing.crop,
            "resize": preprocessing.resize,
            "resample": preprocessing.resample,
        },
        "class_names": None if names is None else [names.unique_name(index) for index in range(len(names))],
        "class_ids": None if names is None or names.ids is None else list(names.ids),
        "class_count": model.class_count,
        "top": model.top,
        "classes": None if model.classes is None else list(model.classes),
        "peak_quantile": model.peak_quantile,
        "viewer": viewer_header(),
        "files": list(files),
    }


def file_data(path: str, content: bytes) -> FileData:
    """Describe a file."""
    return {"path": path, "bytes": len(content), "version": hashlib.sha256(content).hexdigest()[:16]}
