"""What reads a path as a volume, a signal or a video."""

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from seewhy import timing
from seewhy.errors import RecordingError
from seewhy.recordings.animation_file import read_animation
from seewhy.recordings.array_file import read_array
from seewhy.recordings.dicom_series import read_dicom
from seewhy.recordings.finding import (
    ANIMATION_SUFFIXES,
    ARRAY_SUFFIXES,
    DICOM_SUFFIXES,
    NIFTI_SUFFIXES,
    SOUND_SUFFIXES,
    is_dicom_file,
    is_dicom_folder,
)
from seewhy.recordings.nifti import read_nifti
from seewhy.recordings.recording import Recording, Signal, Video, Volume
from seewhy.recordings.sound_file import read_sound
from seewhy.timing import Phase

Reader = Callable[[Path], Recording]

Kind = TypeVar("Kind", Volume, Signal, Video)

READERS: dict[str, Reader] = {
    **dict.fromkeys(NIFTI_SUFFIXES, read_nifti),
    **dict.fromkeys(DICOM_SUFFIXES, read_dicom),
    **dict.fromkeys(SOUND_SUFFIXES, read_sound),
    **dict.fromkeys(ARRAY_SUFFIXES, read_array),
}
"""What reads files of a suffix, whatever the model takes."""

PathLike = str | os.PathLike[str]


def is_recording(source: Any, axes: int | None) -> TypeGuard[Recording | PathLike]:
    """Whether this is a recording or the path of one.

    Args:
        source: What the caller gave.
        axes: The number of spatial axes that the model takes; None where it is unknown. An animated GIF is a video for
            a model that takes three.
    """
    if isinstance(source, (Volume, Signal, Video)):
        return True
    return isinstance(source, (str, os.PathLike)) and _reader(Path(source), axes) is not None


def any_recording(sources: Iterable[Any], axes: Callable[[], int | None]) -> bool:
    """Whether one of several sources is a recording; the number of axes is found out where it matters."""
    known = functools.cache(axes)
    return any(
        isinstance(source, (Volume, Signal, Video))
        or (isinstance(source, (str, os.PathLike)) and is_recording(source, known()))
        for source in sources
    )


def check_only_images(sources: Iterable[Any], function: str) -> None:
    """Raise RecordingError for a recording, or the path of one, that a function of images was given."""
    for source in sources:
        if is_recording(source, None):
            what = os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"a {source.noun}"
            raise RecordingError(
                f"{function} takes images; given {what}. Explain volumes, signals and videos one by one."
            )


@timing.phase(Phase.READING)
def read_recording(source: Any, axes: int | None) -> Recording:
    """Return a recording as it is, and read one from a path; the arguments are those of `is_recording`.

    Raises:
        RecordingError: It is neither, or cannot be read.
        ImageNotFoundError: There is nothing at the path.
        MissingExtraError: What reads files of its suffix is not installed.
    """
    if isinstance(source, (Volume, Signal, Video)):
        return source
    reader = _reader(Path(source), axes) if isinstance(source, (str, os.PathLike)) else None
    if reader is None:
        what = os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"a {type(source).__name__}"
        raise RecordingError(
            f"Among volumes, signals and videos there is an image: {what}. Explain images in a call of their own."
        )
    return reader(Path(source))


def read_volume(path: PathLike, *, voi: bool = False) -> Volume:
    """Read a volume: a NIfTI file, a `.npy` file, a DICOM file, or a folder with the slices of one DICOM series.

    Args:
        path: The file or the folder.
        voi: For DICOM. False gives values in the units of the modality, such as Hounsfield units. True gives them as
            the file wants them to be shown, in 0..1: through its VOI LUT or window, and inverted for MONOCHROME1.

    Raises:
        RecordingError: It cannot be read, or is no volume.
        MissingExtraError: nibabel or pydicom is not installed.
    """
    if voi:
        return read_dicom(Path(path), voi=True)
    return _checked(_read(path), path, Volume)


def read_signal(path: PathLike) -> Signal:
    """Read a signal: a sound file (WAV, FLAC, Ogg, MP3, AIFF), or a `.npy` file of one or two axes.

    Raises:
        RecordingError: It cannot be read, or is no signal.
        MissingExtraError: soundfile is not installed.
    """
    return _checked(_read(path), path, Signal)


def read_video(path: PathLike) -> Video:
    """Read a video: an animated GIF or WebP file, or a `.npy` file, uint8 (T, H, W, 3).

    Raises:
        RecordingError: It cannot be read, or is no video.
    """
    return _checked(_read(path), path, Video)


def _read(path: PathLike) -> Recording:
    reader = _reader(Path(path), 3)
    if reader is None and os.path.isdir(path):
        raise RecordingError(f"{Path(path)} contains no DICOM files.")
    if reader is None:
        known = ", ".join((*READERS, *ANIMATION_SUFFIXES))
        raise RecordingError(f"{Path(path)} has no suffix of a volume, a signal or a video; known: {known}.")
    return reader(Path(path))


def _checked(recording: Recording, path: PathLike, kind: type[Kind]) -> Kind:
    if not isinstance(recording, kind):
        raise RecordingError(f"{Path(path)} is a {recording.noun}; expected a {kind.noun}.")
    return recording


def _reader(path: Path, axes: int | None) -> Reader | None:
    name = path.name.lower()
    for suffix, reader in READERS.items():
        if name.endswith(suffix) and not os.path.isdir(path):
            return reader
    if name.endswith(ANIMATION_SUFFIXES):
        return read_animation if axes == 3 else None
    if not path.suffix.strip(".0123456789") and not os.path.isdir(path):
        return read_dicom if is_dicom_file(path) else None  # scanners name files by their numbers or UIDs
    return read_dicom if os.path.isdir(path) and is_dicom_folder(path) else None
