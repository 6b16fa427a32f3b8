"""The architectures of Ultralytics by name, `ultralytics:yolo11n`, which its package describes in YAML files.

Its checkpoints, `yolo11n.pt`, are pickles of whole models: reading one can run any program that it names. So weights
come as a state dict, which is read without running anything.
"""

import importlib.util
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seewhy import timing
from seewhy.errors import MissingExtraError, ModelError, did_you_mean
from seewhy.models.classifier import Classifier
from seewhy.models.torch_hubs import SEED
from seewhy.regular_files import FileTooLargeError, NotRegularFileError, open_regular_file
from seewhy.timing import Phase

PREFIX = "ultralytics:"

SCALED = re.compile(r"(\d+)[nslmx](-.+)?$")
"""A name with its size, such as yolo11n or yolo11n-seg: one file describes all sizes."""

CLASS_BIAS = re.compile(r"(cv3\.\d+\.\d+|linear|score_head\.\d+)\.bias$")
"""The tensors with a value for each class."""

CHECKPOINT = b"ultralytics"
"""What a checkpoint of ultralytics names in its pickle: the module of its model."""


MAX_FILE_SIZE = 16 * 2**30
MAX_NAMES = 4 * 2**20
"""How many bytes of a pickle are searched."""


def load_ultralytics(name: str, *, pretrained: bool, classes: int | None = None) -> Classifier:
    """Build a model of ultralytics with random weights from a fixed seed.

    Args:
        name: The name of a YAML file of the package, with a size, such as "yolo11n" or "yolov8n-seg".
        pretrained: False; its trained weights are not loaded by name.
        classes: The number of classes; None for that of the file.

    Raises:
        ModelError: There is no such file, or trained weights are requested.
        MissingExtraError: ultralytics is not installed.
    """
    if pretrained:
        raise ModelError(
            f"The trained weights of {PREFIX}{name} are a pickle, which could run code and is not loaded by name. "
            f"{from_checkpoint(f'{name}.pt')} For random weights: weights=None (--weights none)."
        )
    file = _find(name)
    with timing.phase(Phase.IMPORTING):
        import torch
        import ultralytics

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        kind: Any = ultralytics.RTDETR if name.startswith("rtdetr") else ultralytics.YOLO
        model = kind(file).model
        if classes is not None:
            torch.manual_seed(SEED)
            model = type(model)(file, nc=classes, verbose=False)
    return Classifier(model.eval(), name=f"{PREFIX}{name}")


def class_count(state: Mapping[str, Any], own: Mapping[str, Any]) -> int | None:
    """Return the number of classes of weights, if it differs from that of the model; the arguments are state dicts.

    The widths of hidden layers depend on it, so that it is not told from the shapes that differ.
    """
    counts = [len(state[name]) for name in own if name in state and CLASS_BIAS.search(name)]
    known = [len(own[name]) for name in own if CLASS_BIAS.search(name)]
    return counts[-1] if counts and counts[-1:] != known[-1:] else None


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint of ultralytics, by the names in its pickle, which is not read as one."""
    try:
        with open_regular_file(path, MAX_FILE_SIZE) as file, zipfile.ZipFile(file) as archive:
            entry = next((entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")), None)
            return entry is not None and CHECKPOINT in archive.open(entry).read(MAX_NAMES)
    except (OSError, zipfile.BadZipFile, NotRegularFileError, FileTooLargeError, NotImplementedError, ValueError):
        return False  # another error follows


def from_checkpoint(path: str) -> str:
    """Return what to do with a checkpoint of ultralytics."""
    module = "my_yolo"
    return (
        f"If you trust its author, write a file {module}.py with "
        f"'from ultralytics import YOLO; model = YOLO({path!r})', and give {module}:model as the model. Or save its "
        "weights alone, torch.save(YOLO(...).model.state_dict(), 'weights.pt'), and give that file with its "
        f"architecture, such as {PREFIX}yolo11n."
    )


def _find(name: str) -> str:
    """Return the name of the YAML file, which the package finds among its own; nothing is searched or downloaded."""
    spec = importlib.util.find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"For {PREFIX}{name}, ultralytics", None, "pip install ultralytics")
    folder = Path(spec.origin).parent / "cfg" / "models"
    known = {file.stem for file in folder.rglob("*.yaml")}
    if not known & {name, SCALED.sub(r"\1\2", name)}:
        raise ModelError(
            f"Unknown model {name!r} of ultralytics.{did_you_mean(name, known)} Expected the name of one of its YAML "
            "files with a size, such as yolo11n, yolov8n-seg or yolo11n-cls."
        )
    return f"{name}.yaml"
