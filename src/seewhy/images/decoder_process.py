"""Decoding images in a process of its own, which can be ended in the middle of a call.

No exception and no signal handler stops Pillow's C code; ending its process does. The process is started with the
package's images alone, without a framework, and answers one request after the other:

request     the length of a JSON header (4 bytes), the header {"name", "max_pixels", "bytes", "seconds"}, the file
response    the length of a JSON header (4 bytes), the header {"error", "message"} or {"height", "width"}, the pixels

Nothing that comes from it is unpickled: a decoder that a file has taken over could only give other pixels.
"""

import contextlib
import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
from typing import Any, BinaryIO

import numpy as np

from seewhy import errors
from seewhy.errors import ImageError, ImageTooLargeError
from seewhy.types import ImageArray

READY = b"ready"
START_SECONDS = 60.0
MEMORY_BYTES = 3 * 2**30
"""The address space of the process: a gigabyte more than `images.reading.MAX_PIXELS` pixels take."""

MAX_HEADER_BYTES = 100_000

RESPONSE_ERRORS = (ImageError, errors.ImageFormatError, ImageTooLargeError)
"""The errors that a response may name."""


class _EndedFromOutsideError(ImageError):
    """The process was ended by a signal that no decoder raises."""


_SIGNALS_TO_END = (-signal.SIGINT, -signal.SIGTERM)
"""The exit codes of a process that such a signal reaches before it ignores them."""


class DecoderProcess:
    """A process that decodes images; it is started at once, and again whenever it ended.

    Args:
        time_limit: Seconds that one image may take; then the process is killed.
    """

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit
        self._lock = threading.Lock()
        self._is_closed = False
        self._process = self._start()

    def decode(self, content: bytes, name: str, max_pixels: int) -> ImageArray:
        """Decode the bytes of an image file; see `images.reading.read_bytes`.

        Raises:
            ImageTooLargeError: The image takes longer than the time limit.
            ImageError: The image cannot be decoded, or decoding it ended the process.
        """
        try:
            return self._decode(content, name, max_pixels)
        except _EndedFromOutsideError:  # as when a batch system ends all processes of a job: the image did nothing
            pass
        try:
            return self._decode(content, name, max_pixels)
        except _EndedFromOutsideError as error:
            raise ImageError(str(error)) from error

    def _decode(self, content: bytes, name: str, max_pixels: int) -> ImageArray:
        process, timed_out = self._process, threading.Event()

        def kill() -> None:
            timed_out.set()
            process.kill()

        header = {"name": name, "max_pixels": max_pixels, "bytes": len(content), "seconds": self._time_limit}
        timer = threading.Timer(START_SECONDS, kill)
        try:
            timer.start()
            _read_exactly(_stream(process.stdout), len(READY))  # sent after the imports, and after each response
            timer.cancel()
            timer = threading.Timer(self._time_limit, kill)
            timer.start()
            _write_message(_stream(process.stdin), header, content)
            return _read_response(_stream(process.stdout), max_pixels)
        except (OSError, EOFError) as error:
            raise self._failure(name, timed_out.is_set()) from error
        finally:
            timer.cancel()
            timer.join()
            if timed_out.is_set() or process.poll() is not None:
                self._restart()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._is_closed = True
            _end(self._process)

    def _failure(self, name: str, timed_out: bool) -> ImageError:
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:  # it has not ended, but what it sent is no response
            self._process.kill()
            return ImageError(f"{name} is damaged: the decoder's response is not an image.")
        if not timed_out and code in _SIGNALS_TO_END:
            return _EndedFromOutsideError(f"{name} was not decoded: the decoder was ended (signal {-code}).")
        if timed_out or code == -getattr(signal, "SIGALRM", 0):  # its own alarm may ring before the timer here
            return ImageTooLargeError(
                f"{name} takes longer than {self._time_limit:g} s to decode. Save it again in another format."
            )
        return ImageError(f"{name} is damaged: decoding it ended the decoder (exit code {code}).")

    def _restart(self) -> None:
        with self._lock:
            _end(self._process)
            if not self._is_closed:
                self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        ignored = "; ".join(f"signal.signal(signal.{name}, signal.SIG_IGN)" for name in ("SIGINT", "SIGTERM"))
        code = f"import signal; {ignored}; import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
        command = [sys.executable, "-W", "ignore", "-c", code]
        # In a group of its own, as Ctrl+C reaches all processes of the terminal's group: whoever decodes ends this one.
        group, pipe = 0 if os.name == "posix" else None, subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=group)  # noqa: S603  # our own code


def main() -> None:
    """Decode images from standard input, one after the other, until it is closed."""
    from seewhy.images.reading import MAX_PIXELS, read_bytes

    _limit_resources()
    requests, responses = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing else may write between the responses
    read_bytes(_TINY_PNG, "warm", max_pixels=MAX_PIXELS)  # Pillow imports its formats when the first image is opened
    while True:
        responses.write(READY)
        responses.flush()
        try:
            header = _read_header(requests)
        except EOFError:
            return
        content = _read_exactly(requests, header["bytes"])
        _set_alarm(math.ceil(header["seconds"]) + 1)  # ends the process even if its parent is no longer there
        try:
            pixels = read_bytes(bytes(content), header["name"], max_pixels=header["max_pixels"])
        except ImageError as error:
            _write_message(responses, {"error": type(error).__name__, "message": str(error)})
        else:
            _write_message(responses, {"height": len(pixels), "width": pixels.shape[1]}, pixels.tobytes())
        _set_alarm(0)


_TINY_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a494441"
    "54789c636000000002000148afa4710000000049454e44ae426082"
)


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _limit_resources() -> None:
    """Limit the memory of this process, and forbid it to write files, where the system can do so."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, limit in (("RLIMIT_AS", MEMORY_BYTES), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS does not limit address space
            resource.setrlimit(kind, (value, value))


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was still buffered can no longer be written
            _stream(stream).close()


def _stream(stream: Any) -> BinaryIO:
    binary: BinaryIO = stream
    return binary


def _read_response(stream: BinaryIO, max_pixels: int) -> ImageArray:
    header = _read_header(stream)
    if "error" in header:
        kinds = {kind.__name__: kind for kind in RESPONSE_ERRORS}
        raise kinds.get(header["error"], ImageError)(header["message"])
    height, width = int(header["height"]), int(header["width"])
    if not (height > 0 and width > 0 and height * width <= max_pixels):
        raise EOFError("the decoder's response is not an image")
    pixels: ImageArray = np.empty((height, width, 3), dtype=np.uint8)
    _read_into(stream, memoryview(pixels.data).cast("B"))
    return pixels


def _write_message(stream: BinaryIO, header: dict[str, Any], content: bytes = b"") -> None:
    encoded = json.dumps(header).encode()
    stream.write(struct.pack(">I", len(encoded)) + encoded)
    stream.write(content)
    stream.flush()


def _read_header(stream: BinaryIO) -> dict[str, Any]:
    (length,) = struct.unpack(">I", _read_exactly(stream, 4))
    if length > MAX_HEADER_BYTES:
        raise EOFError("the header is too long")
    header: dict[str, Any] = json.loads(bytes(_read_exactly(stream, length)))
    return header


def _read_exactly(stream: BinaryIO, length: int) -> bytearray:
    content = bytearray(length)
    _read_into(stream, memoryview(content))
    return content


def _read_into(stream: BinaryIO, buffer: memoryview) -> None:
    """Fill a buffer, or raise EOFError if the stream ends before."""
    position = 0
    while position < len(buffer):
        count = stream.readinto(buffer[position:])  # type: ignore[attr-defined]  # pipes have it
        if not count:
            raise EOFError
        position += count
