"""The explanation of one volume."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import numpy as np

from seewhy.images.geometry import Placement
from seewhy.images.writing import Writer
from seewhy.recordings.affine import affine_of_map, plane_name
from seewhy.recordings.finding import NIFTI_SUFFIXES
from seewhy.recordings.nifti import nifti_writer
from seewhy.recordings.recording import Volume
from seewhy.recordings.slices import slice_geometry, slice_image
from seewhy.results.figures import FigureKind
from seewhy.results.frame_explanation import FrameExplanation
from seewhy.results.target_result import TargetRef
from seewhy.types import DoubleArray, FloatArray, ImageArray


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class VolumeExplanation(FrameExplanation):
    """Where one volume holds the evidence for each target.

    Its frames are the slices across one of its axes, drawn true to the distances of the voxels. Those of a volume whose
    affine is known are drawn as radiologists look at them: the head or the front is up, and the patient's left, or the
    back, is at the right. `save` also writes `.nii.gz` and `.nii`: the raw heatmaps at the layer's resolution, of
    several targets along a fourth axis, with the affine of their own voxels.

    Attributes:
        volume: The volume.
    """

    volume: Volume

    @property
    def recording(self) -> Volume:
        return self.volume

    @property
    def affine(self) -> DoubleArray:
        """float64 (4, 4): from the position of a heatmap's cell to its place in mm, as `Volume.affine`."""
        return affine_of_map(self.volume.world, self.placement.extents, self.heatmaps.shape[1:])

    def frame(self, position: int, axis: int = 0) -> ImageArray:
        return slice_image(self.volume, self._check_position(position, axis), axis)

    def frame_placement(self, axis: int = 0) -> Placement:
        return slice_geometry(self.volume, self._check_axis(axis)).placement(self.placement)

    def frame_label(self, position: int, axis: int = 0) -> str:
        number, name = self._number(position, axis), self.axis_name(axis)
        return f"{number}, {name}" if self.volume.affine is None else f"{name} {number}"

    def _number(self, position: int, axis: int) -> str:
        return f"slice {self._check_position(position, axis) + 1} of {self.frame_count(axis)}"

    def _frames_name(self, axis: int) -> str:
        name = self.axis_name(axis)
        return f"slices across {name}" if self.volume.affine is None else f"{name} slices"

    def as_dict(self) -> dict[str, Any]:
        affine = None if self.volume.affine is None else self.volume.affine.tolist()
        return {**super().as_dict(), "spacing": list(self.volume.spacing), "affine": affine}

    def arrays(self) -> dict[str, Any]:
        return {**super().arrays(), "spacing": np.array(self.volume.spacing), "affine": self.affine}

    def axis_name(self, axis: int) -> str:
        return plane_name(self.volume.affine, self._check_axis(axis))

    def _arrange(self, plane: FloatArray, axis: int) -> FloatArray:
        return slice_geometry(self.volume, axis).arrange(plane, axis)

    @property
    def _seconds(self) -> float:
        return 0.1

    def _own_writers(self, kind: FigureKind | None, target: TargetRef) -> dict[str, Callable[[], Writer]]:
        chosen = self._targets_of(kind, target)
        maps = self.heatmaps[chosen[0]] if len(chosen) == 1 else np.moveaxis(self.heatmaps, 0, -1)
        return {suffix: partial(nifti_writer, maps, self.affine, suffix) for suffix in NIFTI_SUFFIXES}
