"""Decoding in a process that can be ended."""

import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from seewhy.errors import ImageError, ImageFormatError, ImageTooLargeError
from seewhy.images import decoder_process
from seewhy.images.decoder_process import DecoderProcess
from seewhy.images.reading import MAX_PIXELS, read_bytes


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture
def decoder():
    decoder = DecoderProcess(20)
    yield decoder
    decoder.close()


SMALL = encoded(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
LARGE = encoded(np.zeros((7000, 7000, 3), np.uint8), "JPEG")


def test_it_gives_what_reading_gives(decoder):
    for content in (SMALL, LARGE, SMALL):
        np.testing.assert_array_equal(decoder.decode(content, "a.png", MAX_PIXELS), read_bytes(content, "a.png"))


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", ImageError), (b"text", ImageFormatError), (LARGE[:5000], ImageError), (LARGE, ImageTooLargeError)],
    ids=["empty", "text", "cut", "large"],
)
def test_it_raises_what_reading_raises(decoder, content, error):
    name = "a\udce9\u732b.png"
    for read in (decoder.decode, lambda content, name, limit: read_bytes(content, name, max_pixels=limit)):
        with pytest.raises(error) as raised:
            read(content, name, 1000 if error is ImageTooLargeError else MAX_PIXELS)
        assert type(raised.value) is error
        assert str(raised.value).startswith(name)


def test_an_image_that_takes_too_long_is_refused_and_the_next_is_decoded():
    decoder = DecoderProcess(0.01)
    try:
        first = decoder._process
        with pytest.raises(ImageTooLargeError, match=r"a.jpg takes longer than 0.01 s to decode"):
            decoder.decode(LARGE, "a.jpg", MAX_PIXELS)
        assert first.returncode == -signal.SIGKILL
        decoder._time_limit = 20
        assert decoder.decode(SMALL, "b.png", MAX_PIXELS).shape == (4, 5, 3)
    finally:
        decoder.close()


def test_an_image_that_ends_the_decoder_is_refused_and_the_next_is_decoded(decoder, monkeypatch):
    """As a fault in a C library would: it ends in the middle of an image."""
    write = decoder_process._write_message

    def kill(*arguments):
        decoder._process.send_signal(signal.SIGSEGV)
        decoder._process.wait()
        write(*arguments)

    monkeypatch.setattr(decoder_process, "_write_message", kill)
    with pytest.raises(ImageError, match=r"a.png is damaged: decoding it ended the decoder \(exit code -11\)"):
        decoder.decode(SMALL, "a.png", MAX_PIXELS)
    monkeypatch.undo()
    assert decoder.decode(SMALL, "b.png", MAX_PIXELS).shape == (4, 5, 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_that_end_all_processes_of_a_job_cost_no_image(number):
    decoder = DecoderProcess(20)
    try:
        if os.name == "posix":
            assert os.getpgid(decoder._process.pid) != os.getpgid(0)  # Ctrl+C does not reach it
        for _ in range(2):  # before it can ignore the signal, and when it is idle
            decoder._process.send_signal(number)
            assert decoder.decode(SMALL, "a.png", MAX_PIXELS).shape == (4, 5, 3)
    finally:
        decoder.close()


def test_a_decoder_that_was_taken_over_cannot_make_the_caller_take_more_than_an_image(decoder, monkeypatch):
    monkeypatch.setattr(decoder_process, "_read_header", lambda _: {"height": 10**9, "width": 10**9})
    with pytest.raises(ImageError, match="the decoder's response is not an image"):
        decoder.decode(SMALL, "a.png", MAX_PIXELS)


def test_it_ends_itself_where_its_parent_is_gone():
    """The alarm of the process, and the end of its input, do not need the parent."""
    decoder = DecoderProcess(20)
    process = decoder._process
    process.stdout.read(len(decoder_process.READY))
    os.close(os.dup(process.stdin.fileno()))
    process.stdin.close()
    assert process.wait(30) == 0
    decoder.close()


def test_it_imports_no_framework_and_may_not_write_files(tmp_path):
    code = (
        "import sys; from seewhy.images import decoder_process, reading; decoder_process._limit_resources()\n"
        "assert not {'tensorflow', 'keras', 'torch', 'jax', 'matplotlib', 'fastapi'} & set(sys.modules)\n"
        f"file = open({str(tmp_path / 'new')!r}, 'wb', buffering=0)\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    file.write(b'1')\nexcept OSError:\n    print('refused')"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.stdout == "refused\n", finished.stderr
