"""Finding volumes, signals and videos by their suffixes. It imports neither NumPy nor what reads them."""

import os
from collections.abc import Iterator
from pathlib import Path

NIFTI_SUFFIXES = (".nii.gz", ".nii")
DICOM_SUFFIXES = (".dcm", ".dicom")
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
ARRAY_SUFFIXES = (".npy",)
ANIMATION_SUFFIXES = (".gif", ".webp")
"""Suffixes of images, too: these are videos for a model that takes videos."""

RECORDING_SUFFIXES = (*NIFTI_SUFFIXES, *SOUND_SUFFIXES, *ARRAY_SUFFIXES)
"""The suffixes of files that are found in a folder, each of them a recording; the DICOM files of a folder are one."""

PROBED_FILES = 20
"""How many files of a folder are opened to see whether they are DICOM files."""


def is_dicom_file(path: Path) -> bool:
    """Whether a file is named as DICOM files are, or begins as one does."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if path.name.upper() == "DICOMDIR":  # the table of contents of a disc, in the format of DICOM files
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def is_dicom_folder(path: Path) -> bool:
    """Whether one of the first files of a folder is a DICOM file."""
    try:
        with os.scandir(path) as entries:
            files = (Path(entry.path) for entry in entries if not entry.name.startswith("."))
            return any(is_dicom_file(file) for file, _ in zip(files, range(PROBED_FILES), strict=False))
    except OSError:
        return False


def find_recordings(folder: Path, *, recursive: bool = True) -> Iterator[Path]:
    """Yield the recordings in a folder and, if `recursive`, its subfolders, sorted; one with DICOM files is one."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        if is_dicom_folder(Path(parent)):
            yield Path(parent)
        visible = sorted(name for name in names if not name.startswith("."))
        yield from (Path(parent, name) for name in visible if name.lower().endswith(RECORDING_SUFFIXES))


def stem_of(path: Path) -> str:
    """Return the name of a file without its suffix, of which ".nii.gz" is one; and the name of a folder."""
    if path.is_dir():
        return path.name
    return path.name[: -len(".nii.gz")] if path.name.lower().endswith(".nii.gz") else path.stem
