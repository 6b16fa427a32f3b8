"""Sound files, which soundfile reads where it is installed."""

import importlib.util
from pathlib import Path
from typing import BinaryIO

from seewhy.errors import MissingExtraError, RecordingError
from seewhy.recordings.files import check_riff, open_recording
from seewhy.recordings.recording import MAX_VALUES, Signal, check_size

MAX_BYTES = 8 * MAX_VALUES + 2**20


class _SoundBytes:
    """A file for libsndfile, which asks for places before the beginning of damaged ones.

    soundfile would print the traceback of an error there, and go on.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.tell, self.readinto = file.tell, file.readinto  # type: ignore[attr-defined]
        self._seek = file.seek

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self.tell()


def read_sound(path: Path) -> Signal:
    """Read a sound file: WAV, FLAC, Ogg, MP3 or AIFF, with values in -1..1.

    Raises:
        MissingExtraError: soundfile is not installed.
        RecordingError: The file is damaged, truncated or too large.
    """
    if importlib.util.find_spec("soundfile") is None:
        raise MissingExtraError("For sound files, soundfile", "signals")
    try:
        import soundfile
    except OSError as error:  # the library that it wraps is not there
        raise RecordingError(
            f"{path} cannot be read: {error}. Install libsndfile, or soundfile from a wheel."
        ) from error

    with open_recording(path, MAX_BYTES) as file:
        check_riff(path, file)
        try:
            with soundfile.SoundFile(_SoundBytes(file)) as sound:
                check_size((int(sound.frames),), int(sound.channels), "signal", path)
                values, announced = sound.read(dtype="float32"), int(sound.frames)
                rate = float(sound.samplerate)
        except soundfile.SoundFileError as error:
            reason = getattr(error, "error_string", str(error))  # without the words "Error opening <...>"
            raise RecordingError(f"{path} is not a sound file, or is damaged; libsndfile says: {reason}") from error
    if len(values) < announced:
        raise RecordingError(f"{path} is truncated: it announces {announced:,} samples, and has {len(values):,}.")
    return Signal(values, rate=rate, source=str(path))
