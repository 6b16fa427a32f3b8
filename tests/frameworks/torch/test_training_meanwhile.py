"""A model that another thread trains, or runs, while it is explained."""

import copy
import threading

import numpy as np
import pytest
import torch
from torch import nn

import seewhy
from seewhy.errors import ModelRunError

IMAGES = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)


class Meanwhile(nn.Module):
    """Runs a function in another thread, and waits for it, in the middle of a run of the thread that made it."""

    def __init__(self, function=lambda: None):
        super().__init__()
        self.function, self.thread, self.results = function, threading.get_ident(), []

    def forward(self, x):
        if threading.get_ident() == self.thread:
            thread = threading.Thread(target=lambda: self.results.append(self.function()))
            thread.start()
            thread.join()
        return x


@pytest.fixture
def another_thread():
    """A thread that does nothing, besides this one."""
    is_done = threading.Event()
    thread = threading.Thread(target=is_done.wait)
    thread.start()
    yield
    is_done.set()
    thread.join()


def network():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(6)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), norm, Meanwhile(), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(216, 3)
    )


@pytest.mark.usefixtures("another_thread")
def test_another_thread_finds_every_module_in_its_own_mode():
    model = network().train()
    model[3].eval()
    model[2].function = lambda: [module.training for module in model]
    own = [module.training for module in model]
    found = seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1)
    assert model[2].results[0] == own == [True, True, True, False, True, True, True]
    assert [module.training for module in model] == own
    assert "training" not in vars(nn.Module)
    model[2].function = lambda: None
    np.testing.assert_array_equal(found.values, seewhy.Explainer(model.eval(), layer="0").heatmaps(IMAGES, 1).values)


@pytest.mark.usefixtures("another_thread")
def test_a_step_of_another_thread_s_training_is_a_step_of_training():
    """Batch statistics are taken and averaged, values are dropped, and all of it is kept."""
    model = network().train()
    alone = copy.deepcopy(model)

    def step(model):
        torch.manual_seed(1)
        model(torch.tensor(IMAGES)).square().sum().backward()

    step(alone)
    model[2].function = lambda: None if model[2].results else step(model)
    expected = seewhy.Explainer(copy.deepcopy(alone), layer="0").heatmaps(IMAGES, 1)
    seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, msg=name)
    for parameter, other in zip(model.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad)
    np.testing.assert_allclose(
        seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1).values, expected.values, atol=1e-6
    )


@pytest.mark.usefixtures("another_thread")
def test_modes_that_are_set_meanwhile_are_those_of_who_set_them():
    class Switching(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.norm = norm

        def forward(self, x):
            self.norm.train()
            seen.append(self.norm.training)
            return x

    seen, model = [], network().train()
    model[1].eval()
    model[5] = nn.Sequential(Switching(model[1]), nn.Flatten())
    model[2].function = lambda: (model[4].eval(), model[1].training)[1]
    seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1)
    assert seen[0] is True
    assert model[2].results[0] is False
    assert not model[1].training  # set by the run
    assert not model[4].training  # set by the other thread


@pytest.mark.usefixtures("another_thread")
def test_modules_made_while_a_model_runs_have_a_mode():
    class Making(nn.Module):
        def forward(self, x):
            made = nn.Dropout(0.5)
            assert made.training
            return made.eval()(x)

    model = network().train()
    model[3] = Making()
    assert seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1).values.shape == (2, 1, 6, 6)


@pytest.mark.usefixtures("another_thread")
def test_a_model_explained_inside_another_model_s_run():
    inner, results = network().train(), []

    class Explaining(nn.Module):
        def forward(self, x):
            results.append(seewhy.Explainer(inner, layer="0").heatmaps(IMAGES, 1).values)
            assert not self.training
            return x

    model = network().train()
    model[3] = Explaining()
    seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1)
    assert all(module.training for each in (model, inner) for module in each.modules())
    np.testing.assert_array_equal(results[0], seewhy.Explainer(inner, layer="0").heatmaps(IMAGES, 1).values)


@pytest.mark.usefixtures("another_thread")
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_a_scripted_part_in_training_mode():
    model = network()
    model[4] = torch.jit.script(nn.Dropout(0.5))
    model.train()
    found = seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1).values
    assert model[4].training
    np.testing.assert_array_equal(found, seewhy.Explainer(model.eval(), layer="0").heatmaps(IMAGES, 1).values)


@pytest.mark.usefixtures("another_thread")
def test_training_that_begins_during_the_run_is_refused():
    model = network().eval()
    model[2].function = model.train
    with pytest.raises(
        ModelRunError, match=r"was put into training mode while it was explained.*copy\.deepcopy\(model\)"
    ):
        seewhy.Explainer(model, layer="0").heatmaps(IMAGES, 1)
    assert all(module.training for module in model)
