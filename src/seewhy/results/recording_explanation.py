"""What the explanations of volumes, signals and videos share."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np

from seewhy import timing
from seewhy.errors import OptionError
from seewhy.images.style import Style, StyleOptions
from seewhy.images.writing import Writer, write_atomically
from seewhy.recordings.grid_placement import GridPlacement
from seewhy.recordings.recording import Recording, size_text
from seewhy.representation import description, listed, shortened
from seewhy.results.explained_targets import DEFAULT_STYLE, SHOWN_PREDICTIONS, ExplainedTargets
from seewhy.results.explanation_contents import explanation_facts, target_arrays
from seewhy.results.figures import FigureKind, caption
from seewhy.results.target_result import TargetRef
from seewhy.timing import Phase
from seewhy.types import FloatArray, ImageArray
from seewhy.viewer.explanation_like import FramesLike, SignalLike
from seewhy.viewer.notebook import inline_html
from seewhy.viewer.report import write_report

REPORT_SUFFIXES = (".html", ".htm")
DATA_SUFFIXES = (".npz", ".json")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RecordingExplanation(ExplainedTargets, ABC):
    """Where a volume, a signal or a video holds the evidence for each target.

    Attributes:
        placement: Where on the recording the heatmaps lie.
    """

    placement: GridPlacement

    @property
    @abstractmethod
    def recording(self) -> Recording:
        """What was explained."""

    @property
    def noun(self) -> str:
        """What was explained: "volume", "video" or "signal"."""
        return self.recording.noun

    def __repr__(self) -> str:
        noun = self.noun
        what = f"a {noun} of {size_text(self.placement.size)}" if self.source is None else shortened(self.source)
        model = "" if self.model is None else f" of {shortened(self.model)}"
        return description(
            self,
            f"of {what}: {self.method} at {shortened(self.layer)}{model}, heatmaps {self.heatmaps.shape}; "
            f"targets: {listed([caption(target) for target in self.targets])}",
        )

    @property
    def normalized_heatmaps(self) -> FloatArray:
        """float32 (T, *size): the heatmaps at the resolution of the recording, each normalized to 0..1 as a whole."""
        return self.placement.place(self.normalize())

    def normalized_heatmap(self, target: TargetRef = 0, style: Style = DEFAULT_STYLE) -> FloatArray:
        """Return the normalized heatmap of one target at the resolution of the recording, float32 (*size) in 0..1."""
        maps = self.normalize(style.normalization)[self.find_target(target)]
        return self.placement.place(maps, style.upsampling)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for JSON, with the most probable predictions."""
        facts = explanation_facts(self, self.ids, SHOWN_PREDICTIONS, self.noun)
        return {**facts, "size": list(self.placement.size), "extents": [list(pair) for pair in self.placement.extents]}

    def arrays(self) -> dict[str, Any]:
        """Return what `.npz` files hold: the heatmaps, what they explain, and where they lie on the recording."""
        return {
            **target_arrays(self),
            "size": np.array(self.placement.size),
            "extents": np.array(self.placement.extents),
        }

    @abstractmethod
    def save(
        self,
        path: str | os.PathLike[str],
        kind: FigureKind | None = None,
        *,
        target: TargetRef = 0,
        **style: Unpack[StyleOptions],
    ) -> Path:
        """Write the explanation in the format of the suffix."""

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write a report: one HTML file with the viewer in it, which a browser opens from the disk.

        Args:
            path: `.html` or `.htm`.

        Returns:
            The path.

        Raises:
            OptionError: The suffix is another.
            OutputError: The file cannot be written.
        """
        return write_report([cast("FramesLike | SignalLike", self)], path)

    @abstractmethod
    def pixels(self) -> ImageArray:
        """Draw the explanation into pixels, uint8 (H, W, 3)."""

    def _repr_html_(self) -> str:
        return inline_html(cast("FramesLike | SignalLike", self), self.pixels())

    def _save(self, path: str | os.PathLike[str], writers: dict[str, Callable[[], Writer]]) -> Path:
        """Write the file in the format of its suffix: one of the given ones, `.npz`, `.json` or a report."""
        path = Path(path)
        suffix = suffix_of(path)
        writers = {
            **writers,
            ".npz": lambda: partial(np.savez_compressed, **self.arrays()),
            ".json": lambda: _json_writer(self.as_dict()),
        }
        if suffix in REPORT_SUFFIXES:
            return self.report(path)
        if suffix not in writers:
            known = ", ".join((*writers, REPORT_SUFFIXES[0]))
            raise OptionError(f"Cannot save a {self.noun} as {suffix or 'a file without suffix'!r}; expected {known}.")
        with timing.phase(Phase.DRAWING):
            writer = writers[suffix]()
        write_atomically(path, writer, durable=suffix in DATA_SUFFIXES)
        return path


def suffix_of(path: Path) -> str:
    """Return the suffix of a path in lower case; ".nii.gz" is one."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def _json_writer(content: dict[str, Any]) -> Writer:
    encoded = (json.dumps(content, indent=2) + "\n").encode()
    return lambda file: file.write(encoded)
