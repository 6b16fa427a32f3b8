import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy import Preprocessing
from seewhy.errors import ModelError

BLACK_WITH_WHITE_MIDDLE = np.zeros((4, 8, 3), np.uint8)
BLACK_WITH_WHITE_MIDDLE[:, 2:6] = 255


def test_scaling_by_hand():
    image = np.full((2, 2, 3), [127, 255, 0], dtype=np.uint8)
    values = Preprocessing(size=(2, 2), mean=(127, 127, 0), std=(1, 128, 5))([image]).values
    np.testing.assert_array_equal(values[0, 0, 0], np.array([0, 1, 0], np.float32))
    assert values.dtype == np.float32


def test_without_a_crop_the_whole_image_is_resized():
    """Every pixel of the result sees black and white: Pillow's triangle filter over 8 columns gives 4/7 of white."""
    inputs = Preprocessing(size=(2, 2))([BLACK_WITH_WHITE_MIDDLE])
    assert inputs.placements[0].box == (0, 0, 4, 8)
    np.testing.assert_allclose(inputs.values[0, :, :, 0], 146, atol=1)


def test_a_centre_crop_and_its_placement():
    inputs = Preprocessing(size=(4, 4), crop=1.0)([BLACK_WITH_WHITE_MIDDLE])
    assert inputs.placements[0].box == (0, 2, 4, 6)
    assert inputs.placements[0].image_size == (4, 8)
    np.testing.assert_allclose(inputs.values, 255)


@pytest.mark.parametrize(
    ("image_size", "size", "crop", "box"),
    [
        ((300, 451), (224, 224), 0.875, (19, 94, 281, 356)),
        ((451, 300), (224, 224), 0.875, (94, 19, 356, 281)),
        ((1, 1), (224, 224), 0.875, (0, 0, 1, 1)),
        ((100, 100), (50, 100), 1.0, (25, 0, 75, 100)),  # the largest part of the input's shape, not of a square
        ((100, 400), (100, 50), 0.5, (25, 187, 75, 212)),
    ],
)
def test_crop_boxes(image_size, size, crop, box):
    inputs = Preprocessing(size=size, crop=crop)([np.zeros((*image_size, 3), np.uint8)])
    assert inputs.placements[0].box == box
    assert inputs.shape == (1, *size, 3)


def test_an_image_is_resized_and_the_input_is_cut_out_of_its_centre():
    """100 x 201 becomes 20 x 40; rows 2 to 18 and columns 10 to 30 of it are 10 to 90 and 50.25 to 150.75 of 201."""
    image = np.random.default_rng(0).integers(0, 256, (100, 201, 3)).astype(np.uint8)
    inputs = Preprocessing(size=(16, 20), resize=20)([image])
    assert inputs.placements[0].box == (10, 10 * 201 / 40, 90, 30 * 201 / 40)
    whole = np.asarray(Image.fromarray(image).resize((40, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(inputs.values[0], whole[2:18, 10:30])
    squashed = Preprocessing(size=(10, 10), resize=(10, 14))([image])
    assert squashed.placements[0].box == (0, 2 * 201 / 14, 100, 12 * 201 / 14)


def test_an_input_that_is_larger_than_the_resized_image_is_black_beyond_it():
    inputs = Preprocessing(size=(6, 4), resize=(4, 4))([np.full((8, 8, 3), 9, np.uint8)])
    assert inputs.placements[0].box == (-2, 0, 10, 8)
    np.testing.assert_array_equal(inputs.values[0, :, 0, 0], [0, 9, 9, 9, 9, 0])


def test_a_very_long_image_does_not_fill_the_memory():
    """Resized as a whole it would have 512 x 16,776,960 pixels; the middle of a ramp is what the input shows."""
    image = np.repeat(np.linspace(0, 255, 65_535).astype(np.uint8)[:, None, None], 2, axis=1).repeat(3, axis=2)
    inputs = Preprocessing(size=(300, 512), resize=512)([image])
    (placement,) = inputs.placements
    assert placement.box[2] - placement.box[0] == pytest.approx(300 * 2 / 512)
    np.testing.assert_allclose(inputs.values, 127, atol=1)


def test_another_size_shows_the_same_part_of_the_image():
    assert Preprocessing((224, 224), resize=256).with_size((112, 112)) == Preprocessing((112, 112), resize=128)
    assert Preprocessing((20, 10), resize=(22, 12)).with_size((40, 30)) == Preprocessing((40, 30), resize=(44, 36))
    assert Preprocessing((20, 10), crop=0.5).with_size((40, 30)) == Preprocessing((40, 30), crop=0.5)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"resize": 0}, "resize is 0; expected sides from 1"),
        ({"resize": 9, "crop": 0.5}, "crop=0.5 and resize=9: both say"),
    ],
)
def test_a_resize_that_is_none(settings, problem):
    with pytest.raises(ModelError, match=problem):
        Preprocessing((8, 8), **settings)


def test_a_crop_keeps_every_whole_pixel_there_is():
    """In whole numbers: 224/256 of the short side, and all of it where nothing is cropped."""
    crops = {224 / 256: lambda side: side * 224 // 256, 1.0: lambda side: side}
    for crop, kept in crops.items():
        preprocessing = Preprocessing(size=(224, 224), crop=crop)
        for side in range(2, 3000):
            top, left, bottom, right = preprocessing._crop_box(np.empty((side, side + 7, 0), np.uint8))
            assert (bottom - top, right - left) == (kept(side), kept(side)), side


def test_images_of_any_sizes_become_one_batch():
    inputs = Preprocessing(size=(3, 5))([np.zeros((9, 2, 3), np.uint8), np.full((1, 1, 3), 9, np.uint8)])
    assert len(inputs) == 2
    np.testing.assert_array_equal(np.asarray(inputs)[1], np.full((3, 5, 3), 9))


def test_a_last_step_in_place_does_not_change_the_image():
    """`preprocess_input` of keras.applications changes float32 input where it stands."""
    image = np.full((2, 2, 3), 100, np.uint8)
    pristine = image.copy()

    def finish(values):
        values -= 100
        values /= 2
        return values

    preprocessing = Preprocessing(size=(2, 2), finish=finish)
    for _ in range(2):
        np.testing.assert_array_equal(preprocessing([image]).values, 0)
    np.testing.assert_array_equal(image, pristine)


def test_channels_first_comes_after_everything_else():
    """The last step still sees (N, h, w, 3), and every value stays with its place and channel."""
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    seen = []
    preprocessing = Preprocessing(
        size=(2, 3), mean=(0, 1, 2), finish=lambda x: seen.append(x.shape) or x + 1, channels_first=True
    )
    inputs = preprocessing([image, image])
    assert seen == [(2, 2, 3, 3)]
    assert inputs.shape == (2, 3, 2, 3)
    for channel in range(3):
        np.testing.assert_array_equal(inputs.values[1, channel], image[:, :, channel].astype(float) - channel + 1)
    assert inputs.placements[0].image_size == (2, 3)
    assert inputs.values.flags.c_contiguous


COLOURS = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)

LAYOUTS = {
    "channels last": lambda values: values / 255,
    "channels first": lambda values: values.transpose(0, 3, 1, 2) / 255,
    "padded, channels last": lambda values: np.pad(values / 255, ((0, 0), (1, 1), (1, 1), (0, 0)))[:, 1:-1, 1:-1],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_last_step_may_return_either_layout_for_channels_first(name):
    preprocessing = Preprocessing((6, 8), finish=LAYOUTS[name], channels_first=True)
    expected = COLOURS.transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_allclose(preprocessing(list(COLOURS)).values, expected, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("is_first", [False, True])
def test_a_last_step_may_change_the_channels(channels, is_first):
    def finish(values):
        maps = np.repeat(values[..., :1], channels, axis=-1)
        return maps.transpose(0, 3, 1, 2) if is_first else maps

    found = Preprocessing((6, 8), finish=finish, channels_first=True)(list(COLOURS)).values
    np.testing.assert_array_equal(found, np.repeat(COLOURS[:, None, ..., 0], channels, axis=1))


@pytest.mark.parametrize("is_first", [False, True])
def test_a_last_step_may_change_the_size(is_first):
    def finish(values):
        part = values[:, :5, :7]
        return part.transpose(0, 3, 1, 2) if is_first else part

    found = Preprocessing((6, 8), finish=finish, channels_first=True)(list(COLOURS)).values
    np.testing.assert_array_equal(found, COLOURS[:, :5, :7].transpose(0, 3, 1, 2))


def test_where_the_image_is_as_high_and_wide_as_it_has_channels_they_are_last():
    found = Preprocessing((3, 3), finish=lambda values: values + 1, channels_first=True)(
        list(COLOURS[:, :3, :3])
    ).values
    np.testing.assert_array_equal(found, COLOURS[:, :3, :3].transpose(0, 3, 1, 2) + 1.0)


def test_rows_that_are_no_images_stay_as_they_are():
    preprocessing = Preprocessing((6, 8), finish=lambda values: values.reshape(len(values), -1), channels_first=True)
    np.testing.assert_array_equal(preprocessing(list(COLOURS)).values, COLOURS.reshape(2, -1))


@pytest.mark.parametrize(
    ("finish", "message"),
    [
        (lambda values: values[:, :5, :7, :2], r"returned the shape \(2, 5, 7, 2\) .* expected \(N, h, w, C\), or"),
        (lambda values: values[:, :4, ::2], r"returned the shape \(2, 4, 4, 3\) for images of 6 x 8 pixels"),
        (
            lambda values: values[0],
            r"was given 2 image\(s\), \(2, 6, 8, 3\), and returned the shape \(6, 8, 3\); expected",
        ),
        (lambda values: values.mean(), r"returned the shape \(\); expected a row for each image"),
    ],
)
def test_what_a_last_step_must_not_return(finish, message):
    with pytest.raises(ModelError, match=message):
        Preprocessing((6, 8), finish=finish, channels_first=True)(list(COLOURS))


@pytest.mark.parametrize("is_first", [False, True])
def test_a_pytorch_model_takes_what_its_preprocessing_function_returns(is_first):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(96, 2))

    def grey(values):
        mean = values.mean(-1, keepdims=True) / 255
        return mean.transpose(0, 3, 1, 2) if is_first else mean

    classifier = seewhy.Classifier(model, preprocess=grey, input_size=(6, 8))
    inputs = (COLOURS.astype(np.float32).mean(-1) / 255)[:, None]
    expected = model(torch.tensor(inputs)).softmax(1).max(1).values.detach()
    found = [predictions[0].probability for predictions in classifier.predict(list(COLOURS))]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("image_size", "placed", "box"),
    [
        ((30, 60), (16, 32, 8, 0), (-15, 0, 45, 60)),  # (rows, columns, top, left) on the input of 32 x 32
        ((60, 31), (32, 17, 0, 7), (0, -7 * 31 / 17, 60, 25 * 31 / 17)),  # of 15 columns, 8 lie to the right
        ((16, 16), (32, 32, 0, 0), (0, 0, 16, 16)),
    ],
)
def test_a_letterbox_keeps_the_ratio_of_the_sides(image_size, placed, box):
    image = np.full((*image_size, 3), 200, np.uint8)
    inputs = Preprocessing(size=(32, 32), letterbox=114)([image])
    rows, columns, top, left = placed
    expected = np.full((32, 32, 3), 114.0)
    expected[top : top + rows, left : left + columns] = 200
    np.testing.assert_array_equal(inputs.values[0], expected)
    assert inputs.placements[0].box == pytest.approx(box)
    placed_map = inputs.placements[0].place(np.arange(32, dtype=np.float32)[None, :].repeat(32, axis=0) / 32)
    centre = (left + columns / 2) / 32  # the column of the input at the middle of the image
    assert placed_map[0, image_size[1] // 2] == pytest.approx(centre, abs=1 / 32)


def test_linear_resampling_reads_the_four_nearest_pixels():
    image = np.zeros((1, 8, 3), np.uint8)
    image[0, :, 0] = [0, 10, 20, 30, 40, 50, 60, 70]
    values = Preprocessing(size=(1, 2), resample="linear")([image]).values
    np.testing.assert_array_equal(values[0, 0, :, 0], [15, 55])  # between 10 and 20, and between 50 and 60
    averaged = Preprocessing(size=(1, 2))([image]).values
    assert averaged[0, 0, 0, 0] != 15


@pytest.mark.parametrize(
    ("settings", "problem"), [({"letterbox": 300}, "in 0..255"), ({"letterbox": 0, "crop": 0.5}, "Give one of them")]
)
def test_a_letterbox_that_is_none(settings, problem):
    with pytest.raises(ModelError, match=problem):
        Preprocessing(size=(8, 8), **settings)
