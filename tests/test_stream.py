"""`Explainer.stream`: the same explanations as `explain`, in bounded memory, from any loader."""

import numpy as np
import pytest
import tensorflow as tf
import torch
from PIL import Image

import datasets
import seewhy
from seewhy.errors import ImageError, ImageNotFoundError, InputError, OptionError, TargetError
from seewhy.images.reading import READ_AHEAD


@pytest.fixture(scope="module")
def explainer():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 3),
    )
    return seewhy.Explainer(seewhy.Classifier(model, preprocess=seewhy.Preprocessing(size=(8, 8), std=255.0)))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3)).astype(np.uint8)


def assert_same(found, explainer, pixels, targets="top-1"):
    expected = explainer.explain(list(pixels), targets)
    found = list(found)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_allclose(ours.heatmaps, theirs.heatmaps, rtol=1e-5, atol=1e-6)


class Endless(torch.utils.data.Dataset):
    """Raises no IndexError, as a data set that looks its images up in a table may do."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, index):
        return self.pixels[index % len(self.pixels)], index


def loaders(pixels):
    """Return what the images can be given as; every other one has labels."""
    floats = torch.tensor(np.moveaxis(pixels, -1, 1)) / 255  # as ToTensor makes them
    pictures = [Image.fromarray(each) for each in pixels]
    labels = torch.arange(10)
    rows = datasets.Dataset.from_dict(
        {"label": list(range(10)), "photo": [Image.fromarray(each) for each in pixels]},
        features=datasets.Features({"label": datasets.Value("int64"), "photo": datasets.Image()}),
    )
    return {
        "a generator": (each for each in pixels),
        "a DataLoader of ToTensor's": torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(floats, labels), batch_size=4
        ),
        "a DataLoader of bytes": torch.utils.data.DataLoader(list(torch.tensor(pixels)), batch_size=3),
        "a tf.data.Dataset of Keras": tf.data.Dataset.from_tensor_slices(
            (pixels.astype(np.float32), np.arange(10))
        ).batch(4),
        "a tf.data.Dataset of dicts": tf.data.Dataset.from_tensor_slices({"label": np.arange(10), "image": pixels}),
        "a data set of Hugging Face": rows,
        "an iterable data set of Hugging Face": rows.to_iterable_dataset(),
        "a data set of Hugging Face with nested lists": datasets.Dataset.from_dict({"image": pixels.tolist()}),
        "a data set of PyTorch that only its length ends": Endless(pixels),
        "a DataLoader of lists of PIL images": torch.utils.data.DataLoader(pictures, batch_size=4, collate_fn=list),
        "a DataLoader of lists of tensors": torch.utils.data.DataLoader(list(floats), batch_size=4, collate_fn=list),
        "a DataLoader of integers": torch.utils.data.DataLoader(list(torch.tensor(pixels).long()), batch_size=3),
        "a tf.data.Dataset of ragged batches": tf.data.Dataset.from_generator(
            lambda: iter(pixels), output_signature=tf.TensorSpec((None, 8, 3), tf.uint8)
        ).ragged_batch(4),
    }


def test_every_loader_gives_the_explanations_of_its_images(explainer, pixels):
    for images in loaders(pixels).values():
        assert_same(explainer.stream(images, [0, 2], batch_size=4), explainer, pixels, [0, 2])


def test_no_more_images_are_taken_than_a_few_ahead(explainer, pixels):
    taken = []

    def images():
        for number in range(200):
            taken.append(number)
            yield pixels[number % 10]

    stream = explainer.stream(images(), batch_size=3)
    next(stream)
    assert len(taken) <= 3 + READ_AHEAD + 1
    assert len(list(stream)) == 199


def test_each_image_may_have_its_own_targets_also_beside_one_that_cannot_be_read(explainer, pixels, tmp_path):
    images = [*pixels[:2], tmp_path / "none.png", *pixels[2:5]]
    targets = [[0], [1], [0], [2], [1], [0]]
    found = list(explainer.stream(images, targets, batch_size=4, errors="yield"))
    assert isinstance(found.pop(2), ImageNotFoundError)
    assert [each.targets[0].index for each in found] == [0, 1, 2, 1, 0]
    with pytest.raises(TargetError, match="Targets were given for 6 images, but there are 5"):
        list(explainer.stream(pixels[:5], targets))


def test_an_error_is_raised_after_the_explanations_before_it(explainer, pixels, tmp_path):
    stream = explainer.stream([*pixels[:2], tmp_path / "none.png", pixels[2]])
    assert len([next(stream), next(stream)]) == 2
    with pytest.raises(ImageNotFoundError):
        next(stream)


@pytest.mark.parametrize("is_file", [True, False])
def test_an_exception_of_the_source_loses_nothing_before_it(explainer, pixels, tmp_path, is_file):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")

    def images():
        yield from [tmp_path / "a.png" if is_file else pixels[0]] * 7
        raise KeyError("the source ends here")

    found = []
    with pytest.raises(KeyError, match="the source ends here"):
        found.extend(explainer.stream(images(), batch_size=4))
    assert len(found) == 7


def test_grey_batches_are_not_taken_for_images_with_their_channels_first(explainer, pixels):
    grey = pixels[..., 0]  # in batches of three, (3, 8, 8)
    loader = torch.utils.data.DataLoader(list(torch.tensor(grey)), batch_size=3)
    assert_same(explainer.stream(loader), explainer, np.stack([grey] * 3, axis=-1))
    with pytest.raises(InputError, match=r"three grey images, or one image with its channels first"):
        next(explainer.stream(tf.data.Dataset.from_tensor_slices(grey).batch(3)))


def test_what_is_no_image_is_refused(explainer, pixels):
    normalized = torch.utils.data.DataLoader(list(torch.tensor(pixels) / 127.5 - 1), batch_size=4)
    with pytest.raises(InputError, match=r"values from -1 to 1; expected pixels in 0\.\.255 or in 0\.\.1"):
        next(explainer.stream(normalized))
    changing = torch.utils.data.DataLoader([torch.ones(8, 8, 3), torch.full((8, 8, 3), 200.0)])
    with pytest.raises(InputError, match=r"Earlier batches were in 0\.\.1"):
        list(explainer.stream(changing))
    rows = datasets.Dataset.from_dict({"label": [1], "text": ["a"]})
    with pytest.raises(OptionError, match="No column holds images: there are label, text"):
        next(explainer.stream(rows))
    with pytest.raises(OptionError, match="There is no column 'imge'"):
        next(explainer.stream([{"image": pixels[0]}], column="imge"))
    with pytest.raises(ImageError, match="of shape"):
        next(explainer.stream([pixels[0] / 255]))
    for images, error, message in (
        (None, OptionError, "images is None; expected an image, or an iterable"),
        (datasets.DatasetDict(train=rows), OptionError, "a DatasetDict of train; expected images"),
        (torch.tensor(np.moveaxis(pixels[0], -1, 0)), ImageError, "Its channels are first"),
        (tf.data.Dataset.from_tensor_slices(["a.png"]), InputError, "The elements are strings"),
        (torch.utils.data.DataLoader([torch.full((8, 8, 3), 256)]), InputError, "values from 0 to 256"),
    ):
        with pytest.raises(error, match=message):
            next(explainer.stream(images))
    with pytest.raises(OptionError, match="errors is 'skip'"):
        explainer.stream(pixels, errors="skip")
