"""The axis of the images is told by evidence, not by a size that another axis happens to have."""

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.errors import ModelRunError, SeewhyWarning
from seewhy.targets import Class, Objective


class SequenceFirst(nn.Module):
    """Transposes (images, tokens, channels) to (tokens, images, channels), as many recurrent layers do."""

    def __init__(self):
        super().__init__()
        self.patches, self.attention = nn.Conv2d(3, 8, 4, 4), nn.TransformerEncoderLayer(8, 2, 16)
        self.norm, self.back, self.dense = nn.LayerNorm(8), nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.norm(self.attention(self.patches(x).flatten(2).permute(2, 0, 1)))
        return self.dense(self.back(tokens.transpose(0, 1)).mean(1))


def images(count):
    return np.random.default_rng(0).normal(size=(count, 3, 8, 8)).astype(np.float32)


def sequence_first():
    torch.manual_seed(0)
    return SequenceFirst().eval()


@pytest.mark.parametrize("count", [1, 3, 4])
@pytest.mark.parametrize("method", ["gradcam", "ablationcam"])
def test_tokens_along_the_first_axis(method, count):
    """There are 4 tokens: of one image, and of 4, only a batch of another size tells which axis is which."""
    model, inputs = sequence_first(), images(count)
    found = seewhy.Explainer(model, method, layer="norm", signed=True).heatmaps(inputs, [1])
    with torch.no_grad():
        tokens = model.norm(model.attention(model.patches(torch.tensor(inputs)).flatten(2).permute(2, 0, 1)))

    def scores(tokens):
        return model.dense(model.back(tokens.transpose(0, 1)).mean(1))[:, 1]

    if method == "gradcam":
        tokens.requires_grad_()
        (gradients,) = torch.autograd.grad(scores(tokens).sum(), tokens)
        weights = gradients.mean(0)
    else:
        without = [tokens * (torch.arange(8) != k) for k in range(8)]
        weights = torch.stack([scores(tokens) - scores(each) for each in without], dim=1)
    expected = torch.einsum("nk,lnk->nl", weights, tokens).detach().reshape(count, 1, 2, 2)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * float(expected.abs().max()))


def test_tokens_that_are_clamped_along_the_first_axis():
    """With the tokens of another image, an image has the scores of that one."""
    framework = seewhy.Explainer(sequence_first()).framework
    choice, objective = framework.find_layer("norm"), Objective(Class((1, 2)))
    one, other = images(2)[:1], images(2)[1:]
    expected = framework.capture(other, choice, objective)
    clamped = framework.clamp(one, choice, objective, framework.to_numpy(expected.activations))
    np.testing.assert_allclose(framework.to_numpy(clamped), framework.to_numpy(expected.scores), atol=1e-6)


def test_the_same_tokens_after_the_images():
    """The layer that puts them back has the heatmaps of each image alone."""
    explainer = seewhy.Explainer(sequence_first(), layer="back", signed=True)
    found = explainer.heatmaps(images(4), [1])
    for row in range(4):
        alone = explainer.heatmaps(images(4)[row : row + 1], [1])
        np.testing.assert_allclose(found.values[row], alone.values[0], atol=1e-6)


def test_a_channel_count_or_height_of_the_size_of_the_batch_is_no_matter():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(64, 3))
    explainer = seewhy.Explainer(model, "hirescam", "2", signed=True)
    found = explainer.heatmaps(images(4), [1])
    weights = model[4].weight[1].reshape(4, 4, 4)
    expected = (model[:3](torch.tensor(images(4))) * weights).sum(1).detach().numpy()
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-5)


def test_a_model_that_does_not_run_on_one_image_is_refused():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.Flatten(),
        nn.Linear(144, 6),
        nn.BatchNorm1d(6, track_running_stats=False),
        nn.Linear(6, 3),
    ).eval()
    with (
        pytest.warns(SeewhyWarning, match="The images of a batch influence each other"),
        pytest.raises(
            ModelRunError, match="each has to be explained alone, and the model does not run on a batch of one"
        ),
    ):
        seewhy.Explainer(model, layer="0").heatmaps(images(2), [1])


def test_a_model_that_draws_random_numbers_is_not_taken_for_one_that_mixes():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.dense(nn.functional.dropout(self.conv(x), 0.5, training=True).mean((2, 3)))

    seewhy.Explainer(Noisy(), layer="conv").heatmaps(images(3), [1])


def test_a_batch_whose_images_meet_in_a_part_of_a_half_precision_model():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(144, 3)
    )
    explainer = seewhy.Explainer(model.to(torch.bfloat16).eval(), "hirescam", "0", signed=True)
    with pytest.warns(SeewhyWarning, match="influence each other"):
        found = explainer.heatmaps(images(2), [1])
    alone = explainer.heatmaps(images(2)[1:], [1])
    np.testing.assert_allclose(found.values[1], alone.values[0], rtol=1e-3, atol=1e-3)


def test_a_plain_half_precision_model_is_not_taken_for_one_that_mixes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3)).to(torch.bfloat16)
    seewhy.Explainer(model.eval(), layer="0").heatmaps(images(5), [1])
