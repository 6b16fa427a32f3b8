"""What the results of a study depend on: a study is resumed only with the same settings."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from seewhy.errors import OptionError
from seewhy.regular_files import read_regular_file

MAX_BYTES = 2_000_000_000

WORDS = {
    "noise_prediction": "the model's prediction for an image of noise (are these other weights?)",
    "images": "the images",
    "labels": "the labels",
    "maps": "the maps of other tools",
    "min_confidence": "the least confidence",
    "annotations": "the annotations",
    "batch_size": "the batch size",
}
"""What a message calls settings whose names say too little."""


@dataclass(frozen=True)
class StudySettings:
    """The settings of a study.

    Attributes:
        seewhy: The version of SeeWhy.
        model: The model's name.
        framework: What it is written in.
        noise_prediction: What the model predicts for a fixed image of noise, which tells other weights from these.
        layer: The layer that is explained, as it was given.
        score: What is explained: logits or probabilities.
        methods: The methods with their options.
        metrics: The names of the metrics.
        steps: The number of steps of curves.
        min_confidence: The probability that an image needs to be part of a mosaic.
        batch_size: How many perturbed inputs run at once, on which the last bits of scores depend.
        seed: Determines everything random.
        images: The number of images and a checksum of their names and contents.
        labels: A checksum of the labels.
        maps: A checksum of the maps of other tools.
        annotations: A checksum of the annotations.
    """

    seewhy: str
    model: str
    framework: str
    noise_prediction: str
    layer: str
    score: str
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    steps: int
    min_confidence: float | str
    batch_size: int
    seed: int
    images: str
    labels: str
    maps: str
    annotations: str

    def as_dict(self) -> dict[str, Any]:
        """Return the settings, ready for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def check_same(self, saved: Mapping[str, Any], folder: str) -> None:
        """Raise OptionError with the differences if a saved study has other settings."""
        own = self.as_dict()
        changes = [
            f"{WORDS.get(each.name, each.name)}: {_text(saved.get(each.name))}, now {_text(own[each.name])}"
            for each in fields(self)
            if saved.get(each.name) != own[each.name]
        ]
        if changes:
            raise OptionError(
                f"{folder} has a study with other settings ({'; '.join(changes)}). Resume it with the same settings, "
                "or give another folder."
            )


def checksum(parts: Iterable[str | bytes]) -> str:
    """Return a short checksum of texts and bytes."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()[:16]


def file_checksum(path: Path) -> str:
    """Return a checksum of the content of a file; "unreadable" for one that cannot be read, which fails later."""
    try:
        return checksum([read_regular_file(path, MAX_BYTES)])
    except (OSError, ValueError):
        return "unreadable"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
