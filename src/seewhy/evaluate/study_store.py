"""The folder of a study: its settings, and a file for the results of each image and method, written as they come.

study.json              the settings; a study is resumed only if they are unchanged
results/000/000012.json       what is known of image 12; it is written when all of its methods are done
results/000/000012-03.json    the values of image 12 for method 3
results/000/000012-03.npy     its heatmap
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.errors import InputError, OptionError
from seewhy.evaluate.study_settings import StudySettings
from seewhy.images.writing import write_atomically
from seewhy.numpy_files import read_npy
from seewhy.types import FloatArray

VERSION = 1
IMAGES_PER_FOLDER = 1000

IMAGE_KEYS = ("image", "label", "error", "problems")
RESULT_KEYS = ("method", "error", "map", "values", "curves", "errors")

Record = dict[str, Any]
"""The content of one file with results, ready for JSON."""


class StudyStore:
    """Writes and reads the results of a study; each file is written completely or not at all.

    Args:
        folder: The folder of the study.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._settings_path = folder / "study.json"

    def start(self, settings: StudySettings, *, resume: bool) -> None:
        """Write the settings of a new study, or check those of the study that is resumed.

        Raises:
            OptionError: The folder has a study and is not to be resumed, has none to resume, or one with other
                settings; the message lists what differs.
            OutputError: The folder cannot be created or written to.
        """
        if not resume:
            self.check_new()
            content = {"version": VERSION, **settings.as_dict()}
            self._write_json(self._settings_path, content)
            return
        settings.check_same(self.saved_settings(), str(self.folder))

    def check_new(self) -> None:
        """Raise OptionError if the folder has a study."""
        if self._settings_path.exists():
            raise OptionError(
                f"{self.folder} has the results of a study. Add --resume to continue it, or give another --out."
            )

    def saved_settings(self) -> Mapping[str, Any]:
        """Return the settings of the study in the folder.

        Raises:
            OptionError: There is no study.
            InputError: The file is damaged.
        """
        if not self._settings_path.exists():
            raise OptionError(f"There is no study in {self.folder} to resume. Leave out --resume to start one.")
        content = _read_json(self._settings_path)
        if content.get("version") != VERSION:
            raise InputError(f"{self._settings_path} has version {content.get('version')}; expected {VERSION}.")
        return content

    def image(self, image: int) -> Record | None:
        """Return what is known of an image; None if it is not finished."""
        return self._read(self._path(image), IMAGE_KEYS)

    def result(self, image: int, method: int) -> Record | None:
        """Return the values of an image for a method; None if they are not there yet."""
        return self._read(self._path(image, method), RESULT_KEYS)

    def heatmap(self, image: int, method: int) -> FloatArray | None:
        """Return the heatmap (u, v) of an image by a method; None if there is none."""
        path = self._path(image, method).with_suffix(".npy")
        if not path.exists():
            return None
        try:
            heatmap = np.asarray(read_npy(path), np.float32)
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if heatmap.ndim != 2:
            raise _damaged(path, f"it holds an array of shape {heatmap.shape}")
        return heatmap

    def write_image(self, image: int, record: Record) -> None:
        """Write what is known of an image all of whose methods are done."""
        self._write_json(self._path(image), record)

    def write_result(self, image: int, method: int, record: Record, heatmap: FloatArray | None) -> None:
        """Write the values of an image for a method, after its heatmap; None leaves the one that was written."""
        path = self._path(image, method)
        if heatmap is not None:
            write_atomically(path.with_suffix(".npy"), lambda file: np.save(file, heatmap, allow_pickle=False))
        self._write_json(path, record)

    def _path(self, image: int, method: int | None = None) -> Path:
        name = f"{image:06}" if method is None else f"{image:06}-{method:02}"
        return self.folder / "results" / f"{image // IMAGES_PER_FOLDER:03}" / f"{name}.json"

    def _read(self, path: Path, keys: Collection[str]) -> Record | None:
        if not path.exists():
            return None
        record = _read_json(path)
        if missing := sorted(set(keys) - set(record)):
            raise _damaged(path, f"it has no {missing[0]!r}")
        return record

    def _write_json(self, path: Path, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, allow_nan=False) + "\n"
        write_atomically(path, lambda file: file.write(text.encode()))


def _read_json(path: Path) -> Record:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(content, dict):
        raise _damaged(path, "it holds no JSON object")
    return content


def _damaged(path: Path, reason: str) -> InputError:
    """Return an error that says how to go on: what belongs to one image is measured again."""
    is_of_image = path.parent.parent.name == "results"
    files = f"{path.parent / path.name[:6]}*" if is_of_image else str(path.parent)
    return InputError(f"{path} is damaged: {reason.rstrip('.')}. Delete {files} to measure that again.")
