import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

from seewhy.errors import ImageError, ImageFormatError, ImageNotFoundError, ImageTooLargeError
from seewhy.images import reading
from seewhy.images.reading import read, read_bytes

RAMP = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


def saved(path, image, **options):
    image.save(path, **options)
    return path


def test_a_colour_image_comes_back_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(saved(tmp_path / "a.png", Image.fromarray(pixels))), pixels)
    np.testing.assert_array_equal(read(Image.fromarray(pixels)), pixels)
    np.testing.assert_array_equal(read(pixels), pixels)


def test_a_large_image_is_copied_in_bands(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (701, 803, 3), dtype=np.uint8)
    found = read(saved(tmp_path / "a.bmp", Image.fromarray(pixels)))
    np.testing.assert_array_equal(found, pixels)
    assert not found.flags.writeable


def test_grey_becomes_three_equal_channels(tmp_path):
    expected = np.stack([RAMP] * 3, axis=-1)
    np.testing.assert_array_equal(read(saved(tmp_path / "grey.png", Image.fromarray(RAMP))), expected)
    np.testing.assert_array_equal(read(RAMP), expected)


def test_16_bit_grey_is_scaled_and_not_cut(tmp_path):
    deep = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    path = saved(tmp_path / "deep.png", Image.fromarray(deep))
    np.testing.assert_array_equal(read(path)[..., 0], [[0, 1, 128, 255]])


def test_one_bit_and_palette(tmp_path):
    bits = Image.fromarray(RAMP > 100)
    np.testing.assert_array_equal(read(saved(tmp_path / "bits.png", bits))[..., 0], np.where(RAMP > 100, 255, 0))
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    np.testing.assert_array_equal(read(saved(tmp_path / "palette.png", palette)), [[[255, 0, 0], [0, 0, 255]]])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    image = Image.new(mode, (3, 1))
    black = (0,) * (len(mode) - 1)
    for x, alpha in enumerate((255, 128, 0)):
        image.putpixel((x, 0), (*black, alpha))
    found = read(saved(tmp_path / "alpha.png", image))
    np.testing.assert_allclose(found[0, :, 0], [0, 127, 255], atol=1)


def test_a_transparent_palette_colour_lies_on_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path / "palette.png", image, transparency=0)
    np.testing.assert_array_equal(read(path), [[[255, 255, 255], [0, 0, 255]]])


def test_cmyk(tmp_path):
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    found = read(saved(tmp_path / "print.jpg", image, quality=100))
    np.testing.assert_allclose(found, np.broadcast_to([255, 0, 0], (8, 8, 3)), atol=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_by_exif_is_turned_upright(tmp_path, orientation):
    """Whatever way the camera was held, the dark corner of the scene is at the top left."""
    upright = np.full((20, 30, 3), 250, dtype=np.uint8)
    upright[:8, :8] = 5
    turn_back = {
        1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p, 1), 7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turn_back[orientation](upright)))
    found = read(saved(tmp_path / "phone.jpg", stored, exif=exif, quality=100, subsampling=0))
    np.testing.assert_allclose(found, upright, atol=8)


def test_an_animated_gif_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "lime")]
    path = tmp_path / "moving.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read(path), np.broadcast_to([255, 0, 0], (3, 4, 3)))


def test_one_pixel(tmp_path):
    assert read(saved(tmp_path / "dot.png", Image.new("RGB", (1, 1), "blue"))).tolist() == [[[0, 0, 255]]]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ImageNotFoundError, match=f"There is no image at {tmp_path}/none.jpg."):
        read(tmp_path / "none.jpg")


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty.png is empty \(0 bytes\)"):
        read(tmp_path / "empty.png")


def test_text_with_the_name_of_an_image(tmp_path):
    (tmp_path / "notes.jpg").write_text("not an image")
    with pytest.raises(ImageError, match=r"notes.jpg is not an image in a format SeeWhy reads \(PNG, JPEG"):
        read(tmp_path / "notes.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif"])
def test_a_truncated_image(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=rf"cut.{suffix} (is damaged|cannot be read|is not an image)"):
        read(path)


def test_a_folder_is_not_an_image(tmp_path):
    with pytest.raises(ImageError, match="cannot be read: Is a directory"):
        read(tmp_path)


def png_claiming(width, height):
    """Write a PNG whose header claims a size and whose data are a few bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 8_001), (10_000, 10_000)])
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(png_claiming(*size))
    with pytest.raises(
        ImageError, match=r"bomb.png has too many pixels .*the limit is 80,000,000. Downscale it first."
    ):
        read(tmp_path / "bomb.png")


def test_formats_that_start_programs_are_not_tried(tmp_path):
    (tmp_path / "page.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(ImageError, match="not an image in a format SeeWhy reads"):
        read(tmp_path / "page.eps")


@pytest.mark.parametrize(
    ("array", "advice"),
    [
        (np.zeros((4, 4, 3), np.float32), 'Scale values of 0 to 1 by 255, (255 * array).astype("uint8").'),
        (np.zeros((28, 28)), 'Scale values of 0 to 1 by 255, (255 * array).astype("uint8").'),
        (np.zeros((4, 4, 4), np.uint8), 'for RGBA give PIL.Image.fromarray(array, "RGBA").'),
        (np.zeros((3, 8, 8), np.uint8), "Its channels are first: move them to the end, np.moveaxis(array, 0, -1)."),
        (
            np.zeros((1, 4, 4, 3), np.uint8),
            "It is a batch: give list(batch), and of a pair (images, labels)",
        ),
        (np.zeros((12, 9, 8), np.float32), "A volume or a signal is given as a seewhy.Volume or a seewhy.Signal."),
        (np.zeros(8, np.int64), "It may be the labels of a batch (images, labels): give the images alone."),
        (np.zeros((0, 4, 3), np.uint8), "For arrays that are already preprocessed, use Explainer.heatmaps."),
    ],
    ids=["float", "grey float", "four channels", "channels first", "batch", "volume", "labels", "no rows"],
)
def test_arrays_that_are_not_images(array, advice):
    with pytest.raises(ImageError, match=r"is not an image; expected uint8 \(H, W, 3\)") as error:
        read(array)
    assert advice in str(error.value)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_grey_arrays_are_images(shape):
    pixels = read(np.arange(24, dtype=np.uint8).reshape(shape))
    np.testing.assert_array_equal(pixels, np.stack([np.arange(24).reshape(4, 6)] * 3, -1))


def test_what_is_no_array_is_not_an_image():
    class OnAnotherDevice:
        def __array__(self, *_, **__):
            raise TypeError("can't convert a tensor on that device")

    with pytest.raises(ImageError, match="A OnAnotherDevice is not an image: can't convert a tensor on that device"):
        read(OnAnotherDevice())


@pytest.mark.parametrize(("dtype", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_32_bit_values_are_refused(dtype, mode):
    image = Image.fromarray(np.array([[0, 1], [2, 3]], dtype))
    with pytest.raises(ImageError, match=rf"mode {mode}\) from 0 to 3, whose range is unknown. Convert it to 8 bits"):
        read(image)


def test_16_bit_grey_in_memory_is_scaled():
    image = Image.fromarray(np.array([[0, 256], [32768, 65535]], np.uint16))
    np.testing.assert_array_equal(read(image)[..., 0], [[0, 1], [128, 255]])


def test_an_image_read_from_memory():
    file = io.BytesIO()
    Image.new("RGB", (2, 2), "red").save(file, "PNG")
    assert read(Image.open(file)).shape == (2, 2, 3)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow remarks on some of the damage
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "bmp", "tiff", "ppm", "avif"])
def test_an_image_damaged_in_any_way_is_read_or_refused(tmp_path, suffix):
    """Bytes flipped at random: whatever Pillow's decoders make of it, nothing but an ImageError comes out."""
    random, path = np.random.default_rng(0), tmp_path / f"damaged.{suffix}"
    pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(path, **({"exif": exif} if suffix in ("jpg", "png", "webp", "tiff", "avif") else {}))
    content, refused = path.read_bytes(), 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in random.integers(0, min(len(damaged), random.choice([40, 200, len(damaged)])), 3):
            damaged[position] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            assert read(path).dtype == np.uint8
        except ImageError:
            refused += 1
    assert refused > 20


def test_16_bit_grey_in_a_pgm(tmp_path):
    path = tmp_path / "deep.pgm"
    path.write_bytes(b"P5 4 1 65535\n" + np.array([0, 256, 32768, 65535], ">u2").tobytes())
    np.testing.assert_array_equal(read(path)[..., 0], [[0, 1, 128, 255]])


def test_images_are_read_in_their_order_and_no_more_than_a_few_ahead(tmp_path):
    """A path, an array and a PIL image at a time; of 30, those that nobody has asked for yet are not all asked for."""
    taken = []

    def sources():
        for number in range(30):
            taken.append(number)
            pixels = np.full((4, 5, 3), number, dtype=np.uint8)
            path = tmp_path / f"{number}.png"
            if number % 3 == 0:
                Image.fromarray(pixels).save(path)
            yield (path, pixels, Image.fromarray(pixels))[number % 3] if number != 9 else tmp_path / "none.png"

    images = reading.read_each(sources())
    assert next(images).max() == 0
    assert len(taken) == 1 + reading.READ_AHEAD
    found = list(images)
    assert [each if isinstance(each, ImageError) else each.max() for each in found[:8]] == list(range(1, 9))
    assert isinstance(found[8], ImageNotFoundError)
    assert [each.max() for each in found[9:]] == list(range(10, 30))


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_bytes_are_read_as_a_file_is():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_bytes(png_of(pixels), "a.txt"), pixels)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", ImageError, r"^sent.png is empty \(0 bytes\)\.$"),
        (b"<svg onload='alert(1)'/>", ImageFormatError, "^sent.png is not an image in a format SeeWhy reads"),
        (png_of(RAMP)[:45], ImageError, "^sent.png (is damaged|cannot be read)"),
        (png_claiming(30_000, 30_000), ImageTooLargeError, "^sent.png has too many pixels .* limit is 80,000,000"),
    ],
    ids=["empty", "svg", "cut", "bomb"],
)
def test_bytes_that_are_not_an_image_are_refused(content, error, message):
    with pytest.raises(error, match=message):
        read_bytes(content, "sent.png")


def test_the_limit_of_pixels_can_be_lower():
    content = png_of(np.zeros((10, 11), np.uint8))
    assert read_bytes(content, "a.png", max_pixels=110).shape == (10, 11, 3)
    with pytest.raises(ImageTooLargeError, match=r"too many pixels \(11 x 10\); the limit is 109"):
        read_bytes(content, "a.png", max_pixels=109)


def test_a_path_with_a_null_character():
    with pytest.raises(ImageError, match=r"cannot be read: .*null"):
        read("a\0.png")


@pytest.mark.parametrize(
    ("least_side", "shape"), [(201, (400, 200)), (101, (400, 200)), (100, (200, 100)), (26, (100, 50)), (1, (50, 25))]
)
def test_a_jpeg_file_is_decoded_at_a_reduced_size(tmp_path, least_side, shape):
    """A photo that is stored on its side, 400 pixels wide, the left half darker: upright, the upper half is."""
    stored = np.full((200, 400, 3), 40, np.uint8)
    stored[:, 200:] = 200
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = saved(tmp_path / "photo.jpg", Image.fromarray(stored), quality=95, exif=exif)
    pixels = read(path, least_side).astype(int)
    assert pixels.shape == (*shape, 3)
    rows = shape[0]
    assert abs(pixels[: rows // 2 - 4] - 40).max() <= 2
    assert abs(pixels[rows // 2 + 4 :] - 200).max() <= 2
    (in_turn,) = reading.read_each([path], least_side=least_side)
    np.testing.assert_array_equal(in_turn, pixels)


def test_only_jpeg_files_are_decoded_at_a_reduced_size(tmp_path):
    image = Image.fromarray(np.zeros((40, 80, 3), np.uint8))
    for source in (saved(tmp_path / "a.png", image), image, np.asarray(image)):
        assert read(source, 10).shape == (40, 80, 3)
