"""What a small file may ask for: work, memory, and files that are none."""

import io
import os
import threading
import time

import numpy as np
import pytest
from PIL import Image
from tests.images.hostile_images import chunk, gif, jpeg_bomb, png, png_line

from seewhy.errors import ImageError, ImageTooLargeError
from seewhy.images import reading
from seewhy.images.decoding_work import MAX_CHUNKS, MAX_SCANS, excessive_work
from seewhy.images.gif_blocks import scan_blocks
from seewhy.images.overlay import BAND_PIXELS, overlay
from seewhy.images.reading import read, read_bytes
from seewhy.images.style import Style


@pytest.fixture
def undecoded(monkeypatch):
    """Fail if anything is opened by Pillow: the limits hold before it."""
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("the file was opened for decoding"))


@pytest.mark.usefixtures("undecoded")
def test_a_jpeg_with_thousands_of_scans_is_refused_before_it_is_decoded():
    with pytest.raises(ImageTooLargeError, match=rf"bomb.jpg takes too much work to decode: .* {MAX_SCANS} scans"):
        read_bytes(jpeg_bomb(4000), "bomb.jpg")


@pytest.mark.usefixtures("undecoded")
@pytest.mark.parametrize(
    "hide",
    [
        lambda content: content.replace(b"\xff\xda", b"\xff\xff\xff\xda"),  # fill bytes before a marker
        lambda content: content.replace(b"\xff\xda", b"garbage\xff\x00\xff\xda"),  # which libjpeg skips
        lambda content: content.replace(b"\xff\xda", b"\xff\xd0\xff\x01\xff\xda"),  # markers without a length
        lambda content: content.replace(b"\xff\xda", b"\xff\xfe\x00\x04ab\xff\xda"),  # comments in between
    ],
    ids=["fill", "garbage", "restarts", "comments"],
)
def test_scans_are_counted_however_they_are_hidden(hide):
    assert excessive_work(hide(jpeg_bomb(200, (64, 64)))) == f"more than {MAX_SCANS} scans"


@pytest.mark.usefixtures("undecoded")
def test_a_gif_with_very_many_blocks_of_data_is_refused_before_it_is_decoded():
    """Pillow joins the blocks of a comment: 20 million of one byte each, 40 MB, took 1.8 GB."""
    with pytest.raises(ImageTooLargeError, match=r"bomb.gif takes too much work to decode: .* blocks of data in 9"):
        read_bytes(gif(comment=450_000), "bomb.gif")


def test_the_blocks_of_a_gif_are_counted_as_pillow_reads_them():
    file = io.BytesIO()
    frames = [Image.fromarray(np.full((300, 200), 40 * shade, np.uint8)) for shade in range(5)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], comment=b"x" * 1000)
    assert scan_blocks(file.getvalue()) == (True, 0, 5)
    assert scan_blocks(file.getvalue()[:-1]) == (False, 0, 5)
    assert excessive_work(gif(comment=50, frames=3)) is None
    with Image.open(io.BytesIO(gif(comment=50, frames=3))) as image:
        assert (image.n_frames, image.info["comment"]) == (3, b"x" * 50)
    assert read_bytes(gif(), "small.gif").shape == (4, 4, 3)


def test_a_scan_over_many_pixels_counts_for_more():
    assert excessive_work(jpeg_bomb(80, (64, 64))) is None
    large = jpeg_bomb(80, (64, 64)).replace(b"\x08\x00\x40\x00\x40\x03", b"\x08\x20\x00\x20\x00\x03")  # 8192 x 8192
    assert "samples in its scans" in excessive_work(large)


@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("progressive", [True, False])
def test_what_encoders_write_is_read(progressive, subsampling):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(
        file, "JPEG", progressive=progressive, subsampling=subsampling, comment=b"\xff\xda" * 200
    )
    assert read_bytes(file.getvalue(), "a.jpg").shape == (64, 80, 3)


def test_the_largest_progressive_image_in_colour_is_not_too_much_work():
    content = jpeg_bomb(0, (64, 64)).replace(b"\x08\x00\x40\x00\x40\x03", b"\x08\x22\xe0\x22\xe0\x03")
    assert abs(0x22E0**2 - reading.MAX_PIXELS) < reading.MAX_PIXELS / 100
    assert excessive_work(content) is None


@pytest.mark.usefixtures("undecoded")
def test_a_png_of_more_chunks_than_any_encoder_writes_is_refused():
    content = png(4, 4, b"", chunk(b"teXt", b"") * (MAX_CHUNKS + 1))
    with pytest.raises(ImageTooLargeError, match="more than 200,000 chunks"):
        read_bytes(content, "bomb.png")


@pytest.mark.parametrize("length", [reading.MAX_SIDE + 1, 50_000_000])
def test_an_image_with_a_very_long_side_is_refused(length):
    with pytest.raises(ImageTooLargeError, match=f"1 x {length} pixels.; the limit is 65,535 a side. Crop it first"):
        read_bytes(png_line(length), "line.png")


def test_an_image_with_the_longest_side_is_read():
    assert read_bytes(png_line(reading.MAX_SIDE), "line.png").shape == (reading.MAX_SIDE, 1, 3)


def test_a_file_above_the_limit_of_bytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    (tmp_path / "large.png").write_bytes(bytes(1001))
    with pytest.raises(ImageTooLargeError, match=r"large.png is not read: it has 1,001 bytes; the limit is 1,000"):
        read(tmp_path / "large.png")


def test_a_pipe_and_a_device_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    start = time.monotonic()
    for path in (tmp_path / "pipe.png", "/dev/zero", "/dev/tty"):
        with pytest.raises(ImageError, match="cannot be read: it is a FIFO, a device or a socket, not a regular file"):
            read(path)
    assert time.monotonic() - start < 5


def test_a_file_that_becomes_a_pipe_is_refused_without_waiting(tmp_path, monkeypatch):
    """Between the first look at it and its opening."""
    path = tmp_path / "swapped.png"
    path.write_bytes(b"1")
    open_ = os.open

    def swap_and_open(name, flags, *rest):
        os.unlink(path)
        os.mkfifo(path)
        monkeypatch.setattr(os, "open", open_)
        return open_(name, flags, *rest)

    monkeypatch.setattr(os, "open", swap_and_open)
    results = []
    thread = threading.Thread(target=lambda: results.extend(reading.read_each([path])), daemon=True)
    thread.start()
    thread.join(10)
    assert "not a regular file" in str(*results)


def test_memory_that_does_not_suffice_is_an_error_of_the_image(monkeypatch):
    def load(_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", load)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(ImageTooLargeError, match=r"a.png takes more memory to decode than there is"):
        read_bytes(png_line(4), "a.png")


@pytest.mark.parametrize("rescale", ["none", "max", "range"])
def test_an_overlay_in_bands_is_the_overlay_in_one_piece(monkeypatch, rescale):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (50, 40, 3), dtype=np.uint8)
    heatmap = random.random((50, 40), dtype=np.float32)
    covered = np.zeros((50, 40), dtype=bool)
    covered[3:44, 5:] = True
    style = Style(rescale=rescale)
    whole = overlay(image, heatmap, covered, style)
    assert image.size < BAND_PIXELS
    monkeypatch.setattr("seewhy.images.overlay.BAND_PIXELS", 90)
    np.testing.assert_array_equal(overlay(image, heatmap, covered, style), whole)
