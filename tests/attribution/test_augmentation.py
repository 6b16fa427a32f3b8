import numpy as np
import pytest

from seewhy.attribution.augmentation import Augmentation, average_augmented, parse_augmentations
from seewhy.errors import OptionError

MAP = np.arange(20, dtype=np.float32).reshape(1, 1, 4, 5)


@pytest.mark.parametrize(
    ("augmentation", "expected"),
    [
        (None, []),
        ((), []),
        ("flips", [(True, 1)]),
        ("scales", [(False, 0.9), (False, 1.1)]),
        (["scales"], [(False, 0.9), (False, 1.1)]),
        (("flips", "scales"), [(False, 0.9), (False, 1.1), (True, 1), (True, 0.9), (True, 1.1)]),
    ],
)
def test_which_views_are_meant(augmentation, expected):
    assert [
        (augmentation.is_flipped, augmentation.scale) for augmentation in parse_augmentations(augmentation)
    ] == expected


@pytest.mark.parametrize(
    ("augmentation", "message"),
    [
        ("flip", "Unknown augmentation 'flip'. Did you mean 'flips'"),
        (("flips", 3), "Unknown augmentation 3. Expected 'flips', 'scales', or both"),
        (True, "Unknown augmentation True"),
    ],
)
def test_which_views_there_are_not(augmentation, message):
    with pytest.raises(OptionError, match=message):
        parse_augmentations(augmentation)


def test_a_mirrored_view_and_back():
    augmentation, image = Augmentation(is_flipped=True, scale=1), np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    np.testing.assert_array_equal(augmentation.apply(image), image[:, :, ::-1])
    np.testing.assert_array_equal(augmentation.undo(MAP), MAP[..., ::-1])
    assert augmentation.covered((4, 5)).all()


@pytest.mark.parametrize("scale", [0.5, 0.9, 1, 1.1, 2])
@pytest.mark.parametrize("is_flipped", [False, True])
def test_every_pixel_of_a_view_pixel_by_pixel(is_flipped, scale):
    """The augmentation at p shows the image at centre + (p - centre) / scale, between the four nearest pixels."""
    image = np.random.default_rng(0).random((2, 5, 6, 3), dtype=np.float32)
    expected = np.empty_like(image)
    for row in range(5):
        for column in range(6):
            y = np.clip((row + 0.5 - 2.5) / scale + 2.5 - 0.5, 0, 4)
            x = np.clip(((5 - column if is_flipped else column) + 0.5 - 3) / scale + 3 - 0.5, 0, 5)
            top, left = min(int(y), 3), min(int(x), 4)
            down, right = y - top, x - left
            expected[:, row, column] = (
                image[:, top, left] * (1 - down) * (1 - right)
                + image[:, top, left + 1] * (1 - down) * right
                + image[:, top + 1, left] * down * (1 - right)
                + image[:, top + 1, left + 1] * down * right
            )
    np.testing.assert_allclose(Augmentation(is_flipped, scale).apply(image), expected, atol=1e-6)


@pytest.mark.parametrize(
    "augmentation", [Augmentation(False, 0.9), Augmentation(True, 1.1), Augmentation(False, 2), Augmentation(True, 0.5)]
)
def test_what_a_view_shows_is_brought_back_to_where_it_was(augmentation):
    """A ramp stays a ramp; moved back it is the ramp it was, except where it was cut off or repeated."""
    ramp = np.add.outer(np.arange(20), 3 * np.arange(30)).astype(np.float32)[None, :, :, None]
    back = augmentation.undo(augmentation.apply(ramp)[..., 0][None])[0, 0]
    inner = augmentation.covered((20, 30))
    inner[[0, 1, -2, -1]] = inner[:, [0, 1, -2, -1]] = False
    if augmentation.scale == 2:
        inner[:6] = inner[-6:] = inner[:, :9] = inner[:, -9:] = False
    assert inner.sum() > 80
    np.testing.assert_allclose(back[inner], ramp[0, ..., 0][inner], atol=1e-3)


def test_where_a_view_did_not_reach_the_others_are_averaged():
    augmentation = Augmentation(is_flipped=False, scale=2)  # it shows the middle half
    np.testing.assert_array_equal(augmentation.covered((4, 4)), np.pad(np.ones((2, 2), bool), 1))
    whole, middle = np.ones((1, 1, 4, 4), np.float32), np.full((1, 1, 4, 4), 3, np.float32)
    np.testing.assert_array_equal(
        average_augmented(whole, [(augmentation, middle)])[0, 0],
        np.pad(np.full((2, 2), 2), 1) + np.pad(np.zeros((2, 2)), 1, constant_values=1),
    )


def test_the_average_of_a_map_and_its_mirror_image_is_symmetric():
    flips = parse_augmentations("flips")
    np.testing.assert_allclose(average_augmented(MAP, [(flips[0], MAP)]), (MAP + MAP[..., ::-1]) / 2)
