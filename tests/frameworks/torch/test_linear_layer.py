"""Gradients of several classes of a model that ends in a linear layer begin at its weights, and are the same."""

import numpy as np
import pytest

import seewhy
from seewhy.errors import ModelRunError, NoGradientError
from seewhy.targets import Class

torch = pytest.importorskip("torch")
nn = torch.nn

INPUTS = np.random.default_rng(0).normal(size=(2, 3, 10, 10)).astype(np.float32)
CLASSES = [3, 1, 4]


class Network(nn.Module):
    """Convolution, mean and `last`, which a test may change."""

    def __init__(self, last=None):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3))
        self.last = last or nn.Linear(8, 5)

    def pooled(self, images):
        return torch.relu(self.features(images)).mean((2, 3))

    def forward(self, images):
        return self.last(self.pooled(images))


def expected(model, inputs=INPUTS, classes=CLASSES):
    """Return Grad-CAM (N, T, h, w), by a backward pass of one class of one image at a time."""
    heatmaps = []
    for image in torch.tensor(inputs):
        for number in classes:
            kept = []
            handle = model.features.register_forward_hook(lambda *given, kept=kept: kept.append(given[2]))
            logits = model(image[None])
            handle.remove()
            (gradients,) = torch.autograd.grad(logits[0, number], kept[0])
            weights = gradients.mean((2, 3))
            heatmaps.append(torch.einsum("nk,nkhw->hw", weights, kept[0]).clamp(min=0).detach().numpy())
    return np.reshape(heatmaps, (len(inputs), len(classes), *heatmaps[0].shape))


@pytest.fixture
def taken(monkeypatch):
    """Whether each capture of several classes began its backward pass before the linear layer."""
    from seewhy.frameworks.torch.tap import TorchTap

    found, short = [], TorchTap._short_gradients

    def observe(tap, scores, shortcut):
        found.append(bool(shortcut.is_proven))
        return short(tap, scores, shortcut)

    monkeypatch.setattr(TorchTap, "_short_gradients", observe)
    return found


def explained(model, target=CLASSES, *, runs=3, **options):
    """Return the heatmaps of the last of some explanations of one explainer."""
    explainer = seewhy.Explainer(model.eval(), options.pop("method", "gradcam"), layer="features", **options)
    return [explainer.heatmaps(INPUTS, target).values for _ in range(runs)][-1]


@pytest.mark.parametrize("bias", [True, False])
def test_the_gradients_are_those_of_the_whole_backward_pass(taken, bias):
    model = Network(nn.Linear(8, 5, bias=bias))
    np.testing.assert_allclose(explained(model), expected(model), rtol=1e-5, atol=1e-7)
    assert not taken[0]
    assert taken[-1]


def test_each_image_has_its_own_classes(taken):
    model = Network()
    found = explained(model, Class(((3, 0), (1, 2))))
    parts = [expected(model, INPUTS[:1], (3, 0)), expected(model, INPUTS[1:], (1, 2))]
    np.testing.assert_allclose(found, np.concatenate(parts), rtol=1e-5, atol=1e-7)
    assert taken[-1]


@pytest.mark.parametrize("softmax", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1)])
def test_a_softmax_after_the_layer_is_bypassed(taken, softmax):
    model = Network()
    logits = expected(model)
    model.last = nn.Sequential(model.last, softmax)
    np.testing.assert_allclose(explained(model), logits, rtol=1e-5, atol=1e-7)
    assert taken[-1]


@pytest.mark.parametrize("method", ["gradcam++", "layercam", "finercam"])
def test_every_method_has_the_same_heatmaps_as_with_one_class_at_a_time(method):
    model = Network()
    found = explained(model, method=method)
    each = [explained(model, [number], method=method, runs=1) for number in CLASSES]
    np.testing.assert_allclose(found, np.concatenate(each, axis=1), rtol=1e-5, atol=1e-7)


def squares(logits):
    """Return three scores that are no logits."""
    return logits[:, :3] ** 2


class OfItsOwn(torch.Tensor):
    """A type of tensor whose products are other values."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        result = super().__torch_function__(func, types, args, kwargs or {})
        return (result * 2).as_subclass(torch.Tensor) if func is nn.functional.linear else result


class InPython(torch.autograd.Function):
    """The identity, with a backward pass that reads a value, as it may of one gradient."""

    @staticmethod
    def forward(_, tensor):
        return tensor.clone()

    @staticmethod
    def backward(_, gradients):
        return gradients * (3 if float(gradients.abs().max()) > 0 else 1)


def hooked(tensor):
    """Change the gradients of a tensor in the backward pass."""
    if tensor.requires_grad:
        tensor.register_hook(lambda gradients: gradients * 5)
    return tensor


def hooked_at_node(tensor):
    """Do the same where PyTorch does not tell."""
    if tensor.grad_fn is not None:
        tensor.grad_fn.register_prehook(lambda gradients: (gradients[0] * 5,))
    return tensor


def input_written_to(model, pooled):
    logits = nn.functional.linear(pooled, model.last.weight.detach(), model.last.bias)
    pooled.mul_(3)
    return logits


ENDS = {
    "a product of the product": lambda model, pooled: model.last(pooled) * 2,
    "weights of the image": lambda model, pooled: nn.functional.linear(pooled, model.last.weight * pooled.mean()),
    "bias of the image": lambda model, pooled: nn.functional.linear(pooled, model.last.weight, pooled[0, :5]),
    "input written to": input_written_to,
    "product written to": lambda model, pooled: model.last(pooled).mul_(3),
    "hook on the logits": lambda model, pooled: hooked(model.last(pooled)),
    "double precision": lambda model, pooled: nn.functional.linear(pooled.double(), model.last.weight.double()).float(),
    "type of its own": lambda model, pooled: model.last(pooled.as_subclass(OfItsOwn)),
    "backward pass in Python": lambda model, pooled: model.last(InPython.apply(pooled)),
}


class Changing(Network):
    """Computes the logits in a way that a test changes, as a model may by its input or its own state."""

    end = None

    def forward(self, images):
        pooled = self.pooled(images)
        return self.last(pooled) if self.end is None else self.end(self, pooled)


@pytest.mark.filterwarnings("ignore:The images of a batch influence each other")
@pytest.mark.parametrize("end", [*ENDS, "hook on the node"])
def test_other_ends_take_the_whole_backward_pass(taken, end):
    model = Changing()
    model.end = {**ENDS, "hook on the node": lambda model, pooled: hooked_at_node(model.last(pooled))}[end]
    np.testing.assert_allclose(explained(model), expected(model.eval()), rtol=1e-4, atol=1e-6)
    assert not any(taken)


@pytest.mark.parametrize("end", ENDS)
def test_another_end_is_noticed_in_a_later_run(taken, end):
    model = Changing().eval()
    explainer = seewhy.Explainer(model, "gradcam", layer="features")
    for _ in range(2):
        explainer.heatmaps(INPUTS[:1], CLASSES)
    assert taken[-1]
    taken.clear()
    model.end = ENDS[end]
    found = explainer.heatmaps(INPUTS[:1], CLASSES).values
    np.testing.assert_allclose(found, expected(model, INPUTS[:1]), rtol=1e-4, atol=1e-6)
    assert not taken


def test_no_gradient_is_the_same_error(taken):
    model = Changing().eval()
    explainer = seewhy.Explainer(model, "gradcam", layer="features")
    for _ in range(2):
        explainer.heatmaps(INPUTS, CLASSES)
    assert taken[-1]
    model.end = lambda model, pooled: model.last(pooled.detach())
    with pytest.raises(NoGradientError, match="No gradient reaches the layer 'features'"):
        explainer.heatmaps(INPUTS, CLASSES)


@pytest.mark.parametrize("options", [{"score": "probability"}, {"method": "finercam"}, {"targets": squares}])
def test_other_scores_than_logits_take_the_whole_backward_pass(taken, options):
    """Also where the same run of the same model took the shortcut for logits."""
    classifier, targets = seewhy.Classifier(Network().eval()), options.get("targets", CLASSES)
    settings = {"method": "gradcam", **{name: value for name, value in options.items() if name != "targets"}}
    fresh = seewhy.Explainer(Network().eval(), layer="features", **settings).heatmaps(INPUTS, targets).values
    logits = seewhy.Explainer(classifier, "gradcam", layer="features")
    for _ in range(2):
        logits.heatmaps(INPUTS, CLASSES)
    assert taken[-1]
    taken.clear()
    found = seewhy.Explainer(classifier, layer="features", **settings).heatmaps(INPUTS, targets).values
    np.testing.assert_allclose(found, fresh, rtol=1e-5, atol=1e-7)
    assert not taken


@pytest.mark.filterwarnings("ignore:Using a non-full backward hook", "ignore:Full backward hook is firing")
@pytest.mark.parametrize(
    "register",
    [
        lambda model: model.last.register_full_backward_hook,
        lambda model: model.last.register_backward_hook,
        lambda model: model.register_backward_hook,
        lambda _: nn.modules.module.register_module_backward_hook,
    ],
    ids=["full", "layer", "model", "global"],
)
def test_hooks_that_are_registered_later_see_all_gradients(taken, register, monkeypatch):
    """Also those that PyTorch registers on the node of what a module returns, and those of all modules."""
    monkeypatch.setattr(nn.modules.module, "_global_is_full_backward_hook", None)
    model = Network().eval()
    explainer = seewhy.Explainer(model, "gradcam", layer="features")
    before = [explainer.heatmaps(INPUTS, CLASSES).values for _ in range(2)][-1]
    assert taken[-1]
    taken.clear()

    def doubled(module, entering, _):
        if module in (model, model.last):
            return tuple(None if gradients is None else gradients * 2 for gradients in entering)
        return None

    handle = register(model)(doubled)
    try:
        after = explainer.heatmaps(INPUTS, CLASSES).values
    finally:
        handle.remove()
    assert np.abs(after - before).max() > np.abs(before).max() / 2
    assert not taken
    np.testing.assert_array_equal(explainer.heatmaps(INPUTS, CLASSES).values, before)


def test_damaged_weights_of_another_class_are_an_error():
    model = Network()
    explainer = seewhy.Explainer(model.eval(), "gradcam", layer="features")
    for _ in range(2):
        explainer.heatmaps(INPUTS, CLASSES)
    with torch.no_grad():
        model.last.weight[0, 0] = torch.inf
    with pytest.raises(ModelRunError, match="NaN or infinite"):
        explainer.heatmaps(INPUTS, CLASSES)


def test_changed_weights_and_a_replaced_layer_are_seen():
    model = Network().eval()
    explainer = seewhy.Explainer(model, "gradcam", layer="features")
    for _ in range(2):
        explainer.heatmaps(INPUTS, CLASSES)
    with torch.no_grad():
        model.last.weight.mul_(-1)
    np.testing.assert_allclose(explainer.heatmaps(INPUTS, CLASSES).values, expected(model), rtol=1e-5, atol=1e-7)
    model.last = nn.Linear(8, 7)
    np.testing.assert_allclose(explainer.heatmaps(INPUTS, CLASSES).values, expected(model), rtol=1e-5, atol=1e-7)
