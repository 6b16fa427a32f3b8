"""The explanation of one video."""

import math
from dataclasses import dataclass
from typing import Any, final

from seewhy.errors import OptionError
from seewhy.images.geometry import Placement
from seewhy.recordings.recording import Video
from seewhy.results.frame_explanation import FrameExplanation
from seewhy.types import FloatArray, ImageArray

FASTEST = 0.02
"""Browsers show no frame for less, in seconds."""


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class VideoExplanation(FrameExplanation):
    """Where one video holds the evidence for each target, and when.

    Attributes:
        video: The video.
    """

    video: Video

    @property
    def recording(self) -> Video:
        return self.video

    def frame(self, position: int, axis: int = 0) -> ImageArray:
        frame: ImageArray = self.video.frames[self._check_position(position, axis)]
        return frame

    def frame_placement(self, axis: int = 0) -> Placement:
        self._check_axis(axis)
        (_, height, width), (_, (top, bottom), (left, right)) = self.placement.size, self.placement.extents
        return Placement((height, width), (top, left, bottom, right))

    def frame_label(self, position: int, axis: int = 0) -> str:
        return self._number(position, axis)

    def _frames_name(self, axis: int) -> str:
        return ""

    def _number(self, position: int, axis: int) -> str:
        label, fps = f"frame {self._check_position(position, axis) + 1} of {self.frame_count(axis)}", self.video.fps
        if fps is None:
            return label
        decimals = max(2, math.ceil(math.log10(fps)))  # so that each frame has a time of its own
        return f"{label}, {position / fps:.{decimals}f} s"

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "fps": self.video.fps}

    def axis_name(self, axis: int) -> str:
        self._check_axis(axis)
        return "time"

    def _arrange(self, plane: FloatArray, axis: int) -> FloatArray:
        return plane

    @property
    def _seconds(self) -> float:
        return 0.1 if self.video.fps is None else min(max(1 / self.video.fps, FASTEST), 60.0)

    def _check_axis(self, axis: Any) -> int:
        if axis != 0 or isinstance(axis, bool):
            raise OptionError(f"axis is {axis!r}; the frames of a video are along its first axis, 0.")
        return 0
