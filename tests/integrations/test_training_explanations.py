"""What callbacks of all training loops share."""

import random
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from seewhy.errors import MissingExtraError, OptionError, OutputError, SeewhyWarning
from seewhy.integrations import MLflow, TensorBoard, WeightsAndBiases
from seewhy.integrations.random_state import preserved_random_state
from seewhy.integrations.training_explanations import TrainingExplanations

PICTURE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2)
    return torch.nn.Sequential(*layers)


class Gone:
    """A tracker whose server is gone."""

    is_closed = False

    def start(self):
        pass

    def log(self, pictures, epoch):
        raise OutputError(f"No server for epoch {epoch}.")

    def close(self):
        self.is_closed = True


def of_sample(folder, **options):
    return TrainingExplanations([PICTURE], folder, preprocess=lambda pixels: pixels / 255, input_size=(8, 8), **options)


def test_a_training_that_diverges_and_a_tracker_that_fails_are_warnings(model, tmp_path):
    tracker = Gone()
    sample = of_sample(tmp_path, trackers=[tracker])
    sample.start(0)
    with pytest.warns(SeewhyWarning, match=r"No server for epoch 0\. Training goes on; the images are in"):
        sample.explain(model, 0)
    with torch.no_grad():
        model[0].weight[0] = torch.nan
    with pytest.warns(SeewhyWarning, match="No explanations of epoch 1; training goes on, and may have diverged"):
        sample.explain(model, 1)
    sample.finish()
    assert tracker.is_closed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0000", "image-0.webp"]


class Full(Gone):
    """A tracker whose disk is full when it is closed."""

    def log(self, pictures, epoch):
        pass

    def close(self):
        super().close()
        raise OutputError("No space left.")


def test_a_tracker_that_cannot_be_closed_is_a_warning_and_others_are_closed(model, tmp_path):
    trackers = [Full(), Full()]
    sample = of_sample(tmp_path, trackers=trackers)
    sample.start(0)
    sample.explain(model, 0)
    with pytest.warns(SeewhyWarning, match=r"A tracker could not be closed.*No space left\."):
        sample.finish()
    assert [tracker.is_closed for tracker in trackers] == [True, True]


def test_trackers_are_closed_where_a_later_one_cannot_be_started(tmp_path):
    class Refused(Gone):
        def start(self):
            raise OptionError("No login.")

    first, refused = Gone(), Refused()
    with pytest.raises(OptionError, match="No login"):
        of_sample(tmp_path, trackers=[first, refused]).start(0)
    assert (first.is_closed, refused.is_closed) == (True, False)


def test_folders_with_names_like_those_of_epochs_are_left_alone(model, tmp_path):
    (tmp_path / "epoch-²").mkdir()  # a digit, and no number
    sample = of_sample(tmp_path)
    sample.start(3)
    sample.explain(model, 3)
    sample.finish()
    assert (tmp_path / "image-0.webp").is_file()


def test_images_that_were_deleted_during_the_training_are_a_warning(model, tmp_path):
    sample = of_sample(tmp_path)
    sample.start(0)
    sample.explain(model, 0)
    (tmp_path / "epoch-0000" / "image-0.png").unlink()
    with pytest.warns(SeewhyWarning, match="No animation over the epochs. The images of the epochs are no longer in"):
        sample.finish()


def test_a_resumed_training_continues_its_animation(model, tmp_path):
    """Epochs that were trained after the one from which it is resumed are left out."""
    for epochs in ((0, 1, 2), (1, 4)):
        sample = of_sample(tmp_path)
        sample.start(epochs[0])
        for epoch in epochs:
            with torch.no_grad():
                model[0].weight.normal_()
            sample.explain(model, epoch)
        sample.finish()
    with Image.open(tmp_path / "image-0.webp") as animation:
        assert animation.n_frames == 3  # 0, 1 and 4


def test_bad_input_is_refused_when_a_callback_is_made(tmp_path):
    with pytest.raises(OptionError, match="The sample has no image to explain"):
        TrainingExplanations([], tmp_path)
    with pytest.raises(OptionError, match="every is 0; expected a number of epochs"):
        TrainingExplanations([PICTURE], tmp_path, every=0)


@pytest.mark.parametrize(
    ("images", "count"),
    [(PICTURE, 1), (Image.fromarray(PICTURE), 1), ([PICTURE] * 2, 2), (np.stack([PICTURE] * 2), 2), (PICTURE.T, 3)],
)
def test_a_sample_is_one_image_or_several(images, count, tmp_path):
    """The channels of the transposed picture are three grey images."""
    assert len(TrainingExplanations(images, tmp_path)) == count


def test_a_folder_that_cannot_be_one_is_refused_before_the_training(tmp_path):
    with pytest.raises(OutputError, match="Cannot write to the folder"):
        of_sample(tmp_path / ("x" * 300)).start(0)


@pytest.mark.parametrize(
    ("package", "extra", "make"),
    [
        ("tensorboardX", "tensorboard", lambda: TensorBoard("board")),
        ("wandb", "wandb", WeightsAndBiases),
        ("mlflow", "mlflow", MLflow),
    ],
)
def test_a_tracker_that_is_not_installed_names_its_extra(package, extra, make, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{package} is not installed.*\[{extra}\]"):
        make()


def test_random_states_are_restored_also_after_an_error():
    def draw():
        return random.gauss(), np.random.rand(), torch.rand(1).item()

    def draw_and_fail():
        with preserved_random_state():
            drawn.append(draw())
            raise ZeroDivisionError

    drawn = []
    with pytest.raises(ZeroDivisionError):
        draw_and_fail()
    assert draw() == drawn[0]
