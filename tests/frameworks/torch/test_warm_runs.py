"""What changes between two explanations by one explainer, or in a run of the model, is seen, and left as it was."""

import contextlib
import copy
import threading

import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelRunError
from seewhy.frameworks.cleanup import restoring
from seewhy.frameworks.model_layers import ModelLayers
from seewhy.targets import Class, Objective

torch = pytest.importorskip("torch")
nn = torch.nn

INPUTS = np.random.default_rng(0).normal(size=(2, 3, 10, 10)).astype(np.float32)
CLASSES = [2, 0]


class Network(nn.Module):
    """A small network; `step` runs in its middle, and a test may set it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.Dropout(0.9)
        )
        self.register_buffer("scale", torch.tensor([2.0]))
        self.register_buffer("runs", torch.zeros(1))
        self.register_buffer("unused", None)
        self.step = None
        self.last = nn.Linear(6, 5)

    def forward(self, images):
        values = self.features(images) * self.scale
        if self.step is not None:
            self.step(self)
        return self.last(values.mean((2, 3)))


def heatmaps(explainer, inputs=INPUTS):
    return explainer.heatmaps(inputs, CLASSES).values


def used(model, layer="auto"):
    """Return an explainer that has explained the model twice, one image and several."""
    explainer = seewhy.Explainer(model, "gradcam", layer=layer)
    for inputs in (INPUTS, INPUTS, INPUTS[:1], INPUTS[:1]):
        heatmaps(explainer, inputs)
    return explainer


def fresh(model, inputs=INPUTS):
    """Return the heatmaps by an explainer of a copy, which knows nothing of the model."""
    return heatmaps(seewhy.Explainer(copy.deepcopy(model), "gradcam"), inputs)


def state(model):
    """Return what an explanation must leave as it was, of every module."""
    return {
        path: (
            module.training,
            len(module._forward_hooks),
            {name: (id(buffer), buffer.tolist()) for name, buffer in module.named_buffers(recurse=False)},
        )
        for path, module in model.named_modules()
    }


def reorder(model):
    model.features._modules = {name: model.features._modules[name] for name in "01342"}


def reorder_in_place(model):
    children = model.features._modules
    children["2"] = children.pop("2")


def prune(model):
    nn.utils.parametrizations.weight_norm(model.features[3])


def hook(model):
    model.features[3].register_forward_hook(lambda _, given, output: output + given[0])


def write_data(model):
    model.features[1].running_mean.data.add_(1)


def share(model):
    model.features[3] = model.features[1]


CHANGES = {
    "modes": lambda model: model.train(),
    "mode of one": lambda model: model.features[4].train(),
    "type": lambda model: model.double(),
    "memory format": lambda model: model.to(memory_format=torch.channels_last),
    "replaced module": lambda model: setattr(model.features, "3", nn.Conv2d(6, 6, 1)),
    "replaced inside": lambda model: model.features.__setitem__(2, nn.Sequential(nn.BatchNorm2d(6), nn.Tanh()).train()),
    "added module": lambda model: model.features.append(nn.Dropout(0.9).train()),
    "removed module": lambda model: model.features.__delitem__(2),
    "one module twice": share,
    "order": reorder,
    "order in place": reorder_in_place,
    "parametrization": prune,
    "hook": hook,
    "replaced buffer": lambda model: setattr(model, "scale", torch.tensor([-3.0])),
    "written buffer": lambda model: model.features[1].running_mean.add_(1),
    "uncounted write": write_data,
    "new buffer": lambda model: model.features.register_buffer("more", torch.ones(2)),
    "replaced weights": lambda model: setattr(model.last, "weight", nn.Parameter(-model.last.weight.detach())),
    "frozen": lambda model: model.requires_grad_(False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_two_explanations_is_seen(change):
    model = Network().eval()
    explainer = used(model)
    CHANGES[change](model)
    before = state(model)
    for inputs in (INPUTS, INPUTS[:1]):
        np.testing.assert_array_equal(heatmaps(explainer, inputs), fresh(model, inputs))
        assert state(model) == before


def write(model):
    model.features[1].running_mean.add_(1)
    model.runs += 1


def replace_buffers(model):
    model.scale = torch.tensor([7.0])
    model.features[1].running_var = torch.ones(6)
    model.features[1].num_batches_tracked = torch.tensor(0)  # of the same value


def adapt(model):
    """Let batch normalisation learn, as models do that adapt to what they are used on."""
    norm = model.features[1].train()
    norm(torch.full((2, 6, 4, 4), 3.0))
    norm.eval()


def fail(model):
    write(model)
    raise ValueError("in the model")


@pytest.mark.parametrize("step", [write, replace_buffers, adapt])
@pytest.mark.parametrize("change", [None, *("uncounted write", "replaced buffer", "modes", "added module")])
def test_what_only_a_later_run_writes_to_is_restored(step, change):
    """To its values before that run, however they came about."""
    model = Network().eval()
    explainer = used(model)
    if change is not None:
        CHANGES[change](model)
    expected = fresh(model)
    before, model.step = state(model), step
    for _ in range(2):
        np.testing.assert_array_equal(heatmaps(explainer), expected)
        assert state(model) == before


class OfItsOwn(torch.Tensor):
    """A type that refuses to be joined or compared with others."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func in (torch.cat, torch.stack, torch.equal):
            raise TypeError(f"no {func.__name__}")
        return super().__torch_function__(func, types, args, kwargs or {})


def test_buffers_of_other_types_are_restored():
    model = Network().eval()
    with torch.inference_mode():
        model.register_buffer("inferred", torch.ones(3))
    model.register_buffer("own", torch.ones(3).as_subclass(OfItsOwn))
    model.register_buffer("large", torch.ones(3, 3))
    model.register_buffer("meta", torch.ones(3, device="meta"))
    model.register_buffer("missing", torch.tensor([torch.nan, 1.0]))
    explainer = used(model)
    expected = heatmaps(explainer)

    def step(model):
        with torch.inference_mode():
            model.inferred += 1
        for name in ("own", "large", "missing", "runs"):
            getattr(model, name).mul_(3)

    model.step = step
    np.testing.assert_array_equal(heatmaps(explainer), expected)
    for buffer in (model.inferred, model.own, model.large):
        assert (buffer.numpy() == 1).all()
    np.testing.assert_array_equal(model.missing.numpy(), [np.nan, 1])


UNCOUNTED = {
    "data": lambda buffer: buffer.data.add_(1),
    "memory of NumPy": lambda buffer: np.add(buffer.numpy(), 1, out=buffer.numpy()),
    "other memory": lambda buffer: setattr(buffer, "data", torch.full_like(buffer, 7)),
    "other shape": lambda buffer: setattr(buffer, "data", torch.full((5, 4), 7.0)),
    "other type": lambda buffer: setattr(buffer, "data", torch.full_like(buffer, 7, dtype=torch.float64)),
    "resized": lambda buffer: buffer.resize_(7),
    "unsqueezed": lambda buffer: buffer.unsqueeze_(0),
}


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("change", UNCOUNTED)
def test_buffers_that_are_written_to_past_autograd_are_restored(change, shape):
    """Also where they are given another shape, and all others with them."""
    model = Network().eval()
    model.register_buffer("own", torch.full(shape, 2.0))
    explainer = used(model)
    expected, before = heatmaps(explainer), state(model)

    def step(model):
        write(model)
        UNCOUNTED[change](model.own)

    model.step = step
    for _ in range(2):
        np.testing.assert_array_equal(heatmaps(explainer), expected)
        assert state(model) == before
        assert model.own.dtype == torch.float32


def test_gradients_of_one_capture_are_not_those_of_the_next():
    """Where a backward pass of the model's own returns the same tensor each time."""
    memory = torch.zeros(1, 6, 8, 8)

    class Remembering(torch.autograd.Function):
        @staticmethod
        def forward(_, tensor):
            return tensor.clone()

        @staticmethod
        def backward(_, gradients):
            return memory.copy_(gradients)

    class Model(Network):
        def forward(self, images):
            return self.last(Remembering.apply(self.features(images)).mean((2, 3)))

    explainer = seewhy.Explainer(Model().eval().requires_grad_(False), "gradcam", layer="features")
    captures = [
        explainer.framework.capture(INPUTS[:1], explainer.layer_choices[0], Objective(Class((number,))))
        for number in (0, 1)
    ]
    first, second = (capture.gradients.numpy() for capture in captures)
    assert np.abs(first - second).max() > 0


def test_buffers_are_restored_where_a_later_run_fails():
    model = Network().eval()
    explainer = used(model)
    before, model.step = state(model), fail
    with pytest.raises(ModelRunError, match="in the model"):
        heatmaps(explainer)
    assert state(model) == before


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_changes_its_own_modes_has_those_it_had(monkeypatch, fails):
    """Whose forward calls `train`, as models with a warm-up do, where no other thread can have done it."""
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    model = Network().eval()
    model.features[1].train()
    before = [module.training for module in model.modules()]

    def change(module, *_):
        module.train()
        module.features[1].eval()
        if fails:
            raise ValueError("in the model")

    model.register_forward_hook(change)
    with pytest.raises(ModelRunError, match="in the model") if fails else contextlib.nullcontext():
        seewhy.Explainer(model, "gradcam", layer="features.2").heatmaps(INPUTS, 1)
    assert [module.training for module in model.modules()] == before


def test_a_model_may_replace_its_own_layers_in_every_run():
    model = Network().eval()
    kept = [model.features[3], copy.deepcopy(model.features[3]).train()]
    runs = []

    def swap(module, *_):
        runs.append(module.features[3])
        module.features[3] = kept[len(runs) % 2]

    expected = heatmaps(seewhy.Explainer(model, "gradcam", layer="features.2"))
    model.register_forward_hook(swap)
    explainer = seewhy.Explainer(model, "gradcam", layer="features.2")
    for _ in range(4):
        np.testing.assert_array_equal(heatmaps(explainer), expected)
        assert [module.training for module in kept] == [False, True]
    assert len({id(module) for module in runs}) == 2


def test_layers_are_looked_up_after_a_run_within_one_explanation():
    model = Network().eval()
    framework = used(model).framework
    with framework.explaining(INPUTS):
        before = framework.layer_paths()
        model.features.append(nn.Identity())
        assert framework.layer_paths() == before  # nothing has run, and nobody changes the model meanwhile
        framework.predict(INPUTS)
        assert "features.5" in framework.layer_paths()
    assert "features.5" not in before


def test_layers_are_looked_up_before_each_run_and_kept_until_the_next():
    structure = ["first"]
    layers = ModelLayers(lambda: {structure[0]: None}, lambda: list(structure))
    with layers.held():
        structure[0] = "second"  # nobody does, before a run
        assert set(layers.for_run().by_path) == set(layers.now().by_path) == {"first"}
        layers.run()
        assert set(layers.now().by_path) == {"first"}
        assert set(layers.for_run().by_path) == set(layers.now().by_path) == {"second"}
        structure[0] = "third"
        with layers.held():
            assert set(layers.now().by_path) == {"second"}
        assert set(layers.for_run().by_path) == {"third"}
    structure[0] = "fourth"
    assert set(layers.now().by_path) == {"fourth"}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_part_is_looked_up_in_every_run():
    class Around(nn.Module):
        def __init__(self, part):
            super().__init__()
            self.part = torch.jit.script(part)
            self.last = nn.Conv2d(6, 5, 3)

        def forward(self, images):
            return self.last(self.part(images)).mean((2, 3))

    model = Around(Network().features).train()
    explainer, before = seewhy.Explainer(model, "gradcam", layer="last"), state(model.part)
    expected = heatmaps(explainer)
    version = explainer.framework._model_layers.now().version
    for _ in range(3):
        np.testing.assert_array_equal(heatmaps(explainer), expected)
    assert state(model.part).keys() == before.keys()
    assert model.part.training
    assert explainer.framework._model_layers.now().version == version


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("images", [1, 16])
def test_contexts_and_batches_are_the_same_in_later_runs(context, images):
    model = Network().eval()
    inputs = np.random.default_rng(1).normal(size=(images, 3, 10, 10)).astype(np.float32)
    explainer, expected = used(model), fresh(model, inputs)
    with context():
        for _ in range(2):
            np.testing.assert_allclose(heatmaps(explainer, inputs), expected, rtol=1e-5, atol=1e-7)


class KeepsInLayer(Network):
    """Keeps a tensor in its ReLU, which is a layer of PyTorch, from one run to the next once `keeps` is set."""

    keeps = False

    def forward(self, images):
        values, layer = self.features(images), self.features[2]
        if self.keeps and not isinstance(getattr(layer, "kept", None), torch.Tensor):
            layer.kept = torch.full((1,), 2.0)
        return self.last((values * layer.kept if self.keeps else values).mean((2, 3)))


@pytest.mark.parametrize("before", [{}, {"kept": None}, {"kept": 0}, {"kept": ()}])
def test_what_a_layer_of_pytorch_keeps_from_a_run_in_inference_mode_is_no_obstacle(before):
    """Such a tensor is refused by autograd. All attributes of a layer are not read in every run."""
    model = KeepsInLayer().eval()
    vars(model.features[2]).update(before)
    explainer = used(model)
    model.keeps = True
    with torch.inference_mode():
        model(torch.tensor(INPUTS))
    kept = model.features[2].kept
    twice = fresh(Network().eval())  # whose scale is 2
    for _ in range(2):
        np.testing.assert_allclose(heatmaps(explainer), twice, rtol=1e-5)
    assert model.features[2].kept is kept
    assert kept.is_inference()


def test_restoring_is_done_once_and_again_only_if_it_was_interrupted():
    calls = []
    with restoring(lambda: calls.append("whole")):
        pass
    assert calls == ["whole"]

    def interrupted():
        calls.append("again" if "part" in calls else "part")
        if calls[-1] == "part":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), restoring(interrupted):
        pass
    assert calls == ["whole", "part", "again"]


def test_values_at_indices_are_those_of_numpy():
    from seewhy.frameworks.torch import array_namespace as xp

    for shape, indices in [((1, 5), [[3, -1, 0]]), ((2, 5), [[3, -1], [0, 4]]), ((1, 5), [[2]])]:
        values = np.random.default_rng(0).normal(size=shape)
        found = xp.take_along_axis(torch.tensor(values), torch.tensor(indices), axis=-1)
        np.testing.assert_array_equal(found.numpy(), np.take_along_axis(values, np.array(indices), -1))
    with pytest.raises((IndexError, RuntimeError)):
        xp.take_along_axis(torch.ones(1, 5), torch.tensor([[5]]), axis=-1)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_highest_values_are_those_of_a_stable_sort(k):
    """Of equal ones the first, also in long rows, which PyTorch searches in parts; a number before a NaN."""
    from seewhy.frameworks.torch import array_namespace as xp

    values = np.random.default_rng(0).integers(0, 3, size=(40, 3000)).astype(np.float32)
    values[0, :7] = np.nan
    values[1] = -np.inf
    values[2, 5:9] = np.inf
    found = xp.top_indices(torch.tensor(values, requires_grad=True), k)
    np.testing.assert_array_equal(found.numpy(), np.argsort(-values, axis=-1, kind="stable")[:, :k])


def test_weighted_channels_are_those_of_numpy():
    from seewhy.frameworks.torch import array_namespace as xp

    random = np.random.default_rng(0)
    for space in ((4,), (4, 3), (2, 4, 3)):
        weights, activations = random.normal(size=(2, 5, 7)), np.moveaxis(random.normal(size=(2, 7, *space)), 1, -1)
        expected = np.einsum("ntk,n...k->nt...", weights, activations)
        found = xp.einsum("ntk,n...k->nt...", torch.tensor(weights), torch.tensor(activations))
        np.testing.assert_allclose(found.numpy(), expected)
