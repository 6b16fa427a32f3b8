"""What a model is given of a volume, a signal or a video: its layout, its size, and where it lies."""

import keras
import numpy as np
import pytest
from PIL import Image
from torch import nn

import seewhy
from seewhy.errors import InputError, ModelError, RecordingError, SeewhyWarning
from seewhy.interpolation import averaging_weights
from seewhy.models.blank_input import recording_shape
from seewhy.models.recording_inputs import recording_inputs

RANDOM = np.random.default_rng(0)
VOLUME = seewhy.Volume(RANDOM.random((4, 6, 8)).astype(np.float32))
STEREO = seewhy.Signal(RANDOM.random((20, 2)).astype(np.float32), rate=8000)
VIDEO = seewhy.Video(RANDOM.integers(0, 256, (10, 6, 8, 3), dtype=np.uint8))


def takes(*shape):
    """Return a Keras model with an input of this shape, (N, ...)."""
    return keras.Sequential([keras.Input(shape), keras.layers.Flatten()])


def torch_model(**options):
    return seewhy.Classifier(nn.Conv3d(1, 1, 1), **options)


def test_channels_are_where_the_model_takes_them():
    last = recording_inputs(seewhy.Classifier(takes(4, 6, 8, 1)), VOLUME).values
    first = recording_inputs(torch_model(), VOLUME).values
    np.testing.assert_array_equal(last[0, ..., 0], VOLUME.values)
    np.testing.assert_array_equal(first[0, 0], VOLUME.values)
    signal = recording_inputs(seewhy.Classifier(nn.Conv1d(2, 1, 1), sample_rate=8000), STEREO).values
    np.testing.assert_array_equal(signal[0], STEREO.values.T)
    plain = recording_inputs(seewhy.Classifier(takes(20)), seewhy.Signal(STEREO.values[:, 0])).values
    np.testing.assert_array_equal(plain, [STEREO.values[:, 0]])


@pytest.mark.parametrize("layout", [(0, 1, 2, 3, 4), (0, 4, 1, 2, 3)], ids=["last", "first"])
def test_a_preprocessing_function_is_given_channels_last_and_may_return_either_layout(layout):
    classifier = torch_model(preprocess=lambda batch: batch.transpose(layout) / 2)
    np.testing.assert_array_equal(recording_inputs(classifier, VOLUME).values[0, 0], VOLUME.values / 2)


def test_a_preprocessing_function_that_changes_the_size_or_hides_the_channels():
    with pytest.warns(SeewhyWarning, match="made 4 x 3 x 8 of 4 x 6 x 8 voxels.*wrong where it cropped"):
        recording_inputs(torch_model(preprocess=lambda batch: batch[:, :, :3]), VOLUME)
    cube = seewhy.Volume(RANDOM.random((3, 3, 3, 3)))
    with pytest.raises(ModelError, match="does not tell whether the channels are the first or the last axis"):
        recording_inputs(torch_model(preprocess=lambda batch: batch), cube)


def test_a_volume_is_resized_to_the_one_size_of_the_model():
    with pytest.warns(SeewhyWarning, match="4 x 6 x 8 was resized to 2 x 9 x 8, the size of the model's input, by"):
        inputs = recording_inputs(seewhy.Classifier(takes(2, 9, 8, 1)), VOLUME)
    assert inputs.placement == seewhy.GridPlacement((4, 6, 8), ((0, 4), (0, 6), (0, 8)))
    # Between the centres of two slices lies that of the first new one, which averages over four of theirs.
    weights = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    means = np.einsum("ij,jkl->ikl", weights, VOLUME.values)
    np.testing.assert_allclose(inputs.values[0, :, 1, :, 0], (means[:, 0] + means[:, 1]) / 2, atol=1e-6)


def test_shrinking_averages_as_pillow_does():
    values = RANDOM.random((1, 23)).astype(np.float32)
    resized = Image.fromarray(values).resize((6, 1), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(averaging_weights(23, 6).apply(values[0], 0), np.asarray(resized)[0], atol=1e-6)


def test_a_size_that_is_given_is_that_of_the_input():
    with pytest.warns(SeewhyWarning, match="was resized to 4 x 4 x 4"):
        assert recording_inputs(torch_model(input_size=(4, 4, 4)), VOLUME).values.shape == (1, 1, 4, 4, 4)


def test_frames_at_equal_distances_are_taken_of_a_video():
    with pytest.warns(SeewhyWarning, match="The video has 10 frames, and the model .* takes 4: as many are taken at"):
        inputs = recording_inputs(seewhy.Classifier(takes(4, 6, 8, 3)), VIDEO)
    np.testing.assert_array_equal(inputs.values[0], VIDEO.frames[[1, 3, 6, 8]])
    assert inputs.placement.extents[0] == (0, 10)
    cropped = seewhy.Classifier(takes(4, 5, 5, 3), preprocess=seewhy.Preprocessing((5, 5), crop=1.0))
    with pytest.warns(SeewhyWarning, match="takes 4: as many are taken"):
        assert recording_inputs(cropped, VIDEO).values.shape == (1, 4, 5, 5, 3)


def test_a_preprocessing_of_images_is_that_of_the_frames():
    preprocessing = seewhy.Preprocessing((4, 4), crop=1.0, mean=10.0, std=2.0)
    inputs = recording_inputs(seewhy.Classifier(nn.Conv3d(3, 1, 1), preprocess=preprocessing), VIDEO)
    frame = np.asarray(Image.fromarray(VIDEO.frames[7]).resize((4, 4), Image.Resampling.BILINEAR, box=(1, 0, 7, 6)))
    np.testing.assert_allclose(inputs.values[0, :, 7], (np.moveaxis(frame, -1, 0) - np.float32(10)) / 2)
    assert inputs.placement == seewhy.GridPlacement((10, 6, 8), ((0, 10), (0, 6), (1, 7)))


def test_a_signal_of_another_rate_is_an_error_and_of_an_unknown_one_a_warning():
    model = nn.Conv1d(2, 1, 1)
    with pytest.raises(
        RecordingError, match=r"the signal has 8000 samples a second, and the model 'Conv1d' takes 16000"
    ):
        recording_inputs(seewhy.Classifier(model, sample_rate=16000), STEREO)
    with pytest.warns(
        SeewhyWarning, match=r"has 8000 samples a second, and the rate that the model 'Conv1d' takes is not"
    ):
        recording_inputs(seewhy.Classifier(model), STEREO)


@pytest.mark.parametrize(
    ("classifier", "error", "message"),
    [
        (lambda: seewhy.Classifier(takes(6, 8, 3)), RecordingError, r"takes images .*; given a volume of 4 x 6 x 8"),
        (lambda: seewhy.Classifier(takes(20, 2)), RecordingError, r"takes signals .*; given a volume of 4 x 6 x 8"),
        (lambda: torch_model(preprocess=seewhy.Preprocessing((4, 4))), ModelError, "is for images, and it was"),
        (lambda: torch_model(preprocess=np.sum), ModelError, r"was given one input, \(1, 4, 6, 8, 1\), and returned"),
    ],
)  # fmt: skip
def test_what_the_model_cannot_take(classifier, error, message):
    with pytest.raises(error, match=message):
        recording_inputs(classifier(), VOLUME)


IMAGE = np.zeros((6, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("classifier", "reason"),
    [
        (lambda: seewhy.Classifier(takes(4, 6, 8, 1)), r"volumes or videos, .*its input shape is \(None, 4, 6, 8, 1\)"),
        (lambda: seewhy.Classifier(takes(20, 2)), r"takes signals, .*its input shape is \(None, 20, 2\)"),
        (torch_model, r"volumes or videos, and no images: its first convolution has 3 spatial axes. Give a seewhy.V"),
        (lambda: seewhy.Classifier(nn.Conv1d(1, 1, 1)), r"takes signals, .*first convolution has 1 spatial axis"),
        (lambda: torch_model(input_size=(4, 4, 4)), r"volumes or videos, .*its input size is \(4, 4, 4\)"),
    ],
)
def test_a_model_of_recordings_that_is_given_an_image_says_what_it_takes(classifier, reason):
    """It does not ask for the size of an image."""
    with pytest.raises(ModelError, match=reason):
        seewhy.explain(classifier(), IMAGE)


def test_a_blank_input_has_the_channels_of_the_model():
    keras_video = seewhy.Classifier(takes(4, 6, 8, 3), input_size=(4, 6, 8))
    grown = keras.Sequential([keras.Input((None, None, None, 2)), keras.layers.Conv3D(1, 1)])
    any_size = seewhy.Classifier(grown, input_size=(4, 6, 8))
    stereo = seewhy.Classifier(nn.Conv1d(2, 1, 1), input_size=(20,))
    shapes = [recording_shape(each) for each in (keras_video, any_size, stereo, seewhy.Classifier(takes(6, 8, 3)))]
    assert shapes == [(1, 4, 6, 8, 3), (1, 4, 6, 8, 2), (1, 2, 20), None]


def test_layers_of_a_model_of_recordings_need_a_size_with_its_axes():
    with pytest.raises(InputError, match=r"Give it: seewhy.Classifier\(model, input_size=\(32, 64, 64\)\)"):
        seewhy.Explainer(torch_model()).layers()
    video = seewhy.Classifier(nn.Sequential(nn.Conv3d(3, 2, 1)), input_size=(4, 6, 8))  # of three channels
    assert [call.shape for call in seewhy.Explainer(video).layers()] == [(4, 6, 8, 2)]
    with pytest.raises(InputError, match=r"takes signals of a size that is unknown.*input_size=\(16000,\)"):
        seewhy.Explainer(nn.Conv1d(1, 1, 1)).layers()


def test_the_sidecar_holds_the_rate_and_a_size_of_three_numbers(tmp_path):
    classifier = seewhy.Classifier(takes(4, 6, 8, 1), input_size=(4, 6, 8), sample_rate=16000)
    loaded = seewhy.load(classifier.save(tmp_path / "model.keras"))
    assert (loaded.sample_rate, loaded.fixed_size(3)) == (16000, (4, 6, 8))
    with pytest.raises(ModelError, match=r"The input size is \(4, 6, 8\), and the preprocessing of the model"):
        torch_model(preprocess=seewhy.Preprocessing((4, 4))).replace(input_size=(4, 6, 8))
    assert loaded.replace(class_names=["a"] * 192).sample_rate == 16000
