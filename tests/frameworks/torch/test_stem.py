import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import seewhy
from seewhy.frameworks import framework_for

SIZE = (32, 48)


class Model(nn.Module):
    def __init__(self, step, **options):
        super().__init__()
        self.step = step
        self.features = nn.Conv2d(3, 2, **{"kernel_size": 1, **options})
        self.dense = nn.Linear(2, 2)

    def forward(self, x):
        return self.dense(self.features(self.step(x)).mean((2, 3)))


def box_of(model, layer="features"):
    """Return the box of a layer's heatmaps on the model's input, in pixels."""
    inputs = np.random.default_rng(0).uniform(0, 255, (2, 3, *SIZE)).astype(np.float32)
    explainer = seewhy.Explainer(seewhy.Classifier(model, preprocess=seewhy.Preprocessing(SIZE)), layer=layer)
    heatmaps = explainer.heatmaps(inputs, [0])
    moves = explainer.framework.moves_image(inputs, explainer.layer_choices[0])
    return np.multiply(heatmaps.input_box, (*SIZE, *SIZE)), moves


def on_canvas(x):
    canvas = x.new_zeros((len(x), 3, 48, 64))
    for image, place in zip(x, canvas, strict=True):
        place[:, :32, :48].copy_(image)
    return canvas


def assigned(x):
    canvas = torch.zeros((len(x), 3, 48, 64))
    canvas[:, :, 8:40, 8:56] = x
    return canvas


def zoomed(x):
    half = torch.tensor([[[0.5, 0, 0], [0, 0.5, 0]]]).repeat(len(x), 1, 1)
    grid = functional.affine_grid(half, (len(x), 3, 32, 48), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


BOXES = {
    "to integers and back": (lambda x: x.clamp(0, 255).to(torch.uint8)[:, :, 8:-8].float(), (8, 0, 24, 48)),
    "mirrored padding": (lambda x: functional.pad(x, (6, 6, 4, 4), mode="reflect"), (-4, -6, 36, 54)),
    "copied onto a canvas": (on_canvas, (0, 0, 48, 64)),
    "assigned to a canvas": (assigned, (-8, -8, 40, 56)),
    "sampled on a grid": (zoomed, (8, 12, 24, 36)),
    "space to depth": (lambda x: functional.pixel_unshuffle(x[:, :, 8:], 2)[:, :3], (8, 0, 32, 48)),
    "every second pixel": (lambda x: x[:, :, ::2, ::2], (0, 0, 32, 48)),
    "grey, then cropped": (lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1)[..., 12:], (0, 12, 32, 48)),
    "through NumPy": (lambda x: torch.from_numpy(x.detach().numpy()[:, :, 8:].copy()), (8, 0, 32, 48)),
    "through a list": (lambda x: torch.tensor(x.tolist())[..., :24], (0, 0, 32, 24)),
    "square root": (lambda x: (x / 255).sqrt()[..., :24], (0, 0, 32, 24)),
}


@pytest.mark.parametrize("name", BOXES)
def test_the_box_of_what_is_left(name):
    step, expected = BOXES[name]
    box, moves = box_of(Model(step))
    np.testing.assert_allclose(box, expected, atol=0.6)
    assert moves


ORDINARY = {
    "scaled": Model(lambda x: x / 255 - 0.5, kernel_size=3),
    "padded in the convolution": Model(nn.Identity(), kernel_size=7, stride=2, padding=3),
    "mirrored in the convolution": Model(nn.Identity(), kernel_size=5, padding=2, padding_mode="reflect"),
    "padded on two sides": Model(lambda x: functional.pad(x, (0, 1, 0, 1)), kernel_size=3, stride=2),
    "channels last and back": Model(lambda x: x.permute(0, 2, 3, 1).mul(2).permute(0, 3, 1, 2)),
    "patches": Model(nn.Identity(), kernel_size=8, stride=8),
    "normalized": Model(nn.InstanceNorm2d(3)),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_stem_is_not_even_measured(name):
    box, moves = box_of(ORDINARY[name])
    np.testing.assert_array_equal(box, (0, 0, *SIZE))
    assert not moves


def test_branches_that_see_the_same_part():
    class Branches(Model):
        def __init__(self, *steps):
            super().__init__(nn.Identity())
            self.steps = steps
            self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x):
            first, second = (step(x) for step in self.steps)
            return super().forward(self.first(first) + self.second(second))

    box, _ = box_of(Branches(lambda x: x[:, :, 8:24], lambda x: functional.pad(x, (0, 0, -8, -8))))
    np.testing.assert_allclose(box, (8, 0, 24, 48), atol=1e-3)
    with pytest.warns(seewhy.errors.SeewhyWarning, match="shows its branches different parts"):
        box_of(Branches(lambda x: x[:, :, 8:24], lambda x: x[:, :, :16]))


def test_the_run_ends_at_the_layer_and_leaves_the_model_as_it_was():
    runs = []
    model = Model(lambda x: x[:, :, 8:24])
    model.dense.register_forward_hook(lambda *_: runs.append(1))
    framework, inputs = framework_for(model), np.ones((1, 3, *SIZE), np.float32)
    framework.calls(inputs)
    assert runs == [1]
    layer = framework.find_layer("features")
    assert framework.moves_image(inputs, layer)
    (stem,) = framework.stem_values(inputs, layer)
    assert (stem.values.shape, stem.window) == ((1, 16, 48, 3), (1, 1))
    assert runs == [1]
    assert not model.features._forward_hooks
