"""Models that run a part of themselves twice, or differentiate while they run, on native PyTorch."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils import checkpoint as checkpointing
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

import seewhy
from seewhy.errors import LayerError, ModelRunError, NoGradientError

pytestmark = pytest.mark.filterwarnings("ignore:.* bypasses the layer 'block")

LAYERS = ("stem", "block", "block.conv", "block.norm", "last")


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


IMAGES = random(2, 3, 12, 12)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x):
        return functional.silu(x + self.norm(self.conv(x)))


class Net(nn.Module):
    """A block between two convolutions; `run` calls the block with its input."""

    def __init__(self, run=lambda function, x: function(x)):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 6, 3, stride=2)
        self.block = Block()
        self.last = nn.Conv2d(6, 6, 3)
        self.dense = nn.Linear(6, 4)
        self.run = run

    def forward(self, x):
        x = self.last(self.run(self.block, self.stem(x)))
        return self.dense(functional.silu(x).mean((2, 3)))


def twice_checkpointed(function, x):
    return checkpoint(partial(checkpoint, function, use_reentrant=False), x, use_reentrant=True)


def selective(function, x):
    contexts = partial(checkpointing.create_selective_checkpoint_contexts, [torch.ops.aten.convolution.default])
    return checkpoint(function, x, use_reentrant=False, context_fn=contexts)


CHECKPOINTS = {
    "reentrant": partial(checkpoint, use_reentrant=True),
    "not reentrant": partial(checkpoint, use_reentrant=False),
    "one in the other": twice_checkpointed,
    "selective": selective,
    "sequential": lambda function, x: checkpoint_sequential([function], 1, x, use_reentrant=False),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpointed_model_has_the_maps_of_the_plain_one(name, layer):
    checkpointed, plain = Net(CHECKPOINTS[name]).train(), Net().train()
    found = seewhy.Explainer(checkpointed, layer=layer).heatmaps(IMAGES, [0, 3])
    expected = seewhy.Explainer(plain, layer=layer).heatmaps(IMAGES, [0, 3])
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


@pytest.mark.parametrize("method", ["scorecam", "ablationcam", "saliency", "occlusion", "guided_backprop"])
@pytest.mark.parametrize("name", ["reentrant", "not reentrant"])
def test_other_methods_on_a_checkpointed_model(name, method):
    options = {"others": "pass"} if method == "guided_backprop" else {}
    chosen = seewhy.methods.get(method, **options)
    layer = "block.conv" if method in ("scorecam", "ablationcam") else "auto"
    found, expected = (
        seewhy.Explainer(model, chosen, layer).heatmaps(IMAGES, 1).values for model in (Net(CHECKPOINTS[name]), Net())
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_all_classes_of_a_checkpointed_model():
    """More targets than are differentiated one by one."""
    models = Net(CHECKPOINTS["not reentrant"]), Net()
    for model in models:
        torch.manual_seed(1)
        model.dense = nn.Linear(6, 40)
    found, expected = (
        seewhy.Explainer(model, layer="block.norm").heatmaps(IMAGES, "top-40").values for model in models
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_another_thread_still_trains_with_checkpoints_meanwhile(use_reentrant):
    """It computes its part of the model twice, as it asked for, and its gradients are right."""
    runs, result, is_open, is_trained = [], [], threading.Event(), threading.Event()
    block = Block()

    def counted(x):
        runs.append(x)
        return block(x)

    def train():
        assert is_open.wait(timeout=60)
        inputs = torch.tensor(random(1, 6, 5, 5), requires_grad=True)
        checkpoint(counted, inputs, use_reentrant=use_reentrant).sum().backward()
        result.append(inputs.grad)
        is_trained.set()

    def hold(_function, x):
        is_open.set()
        assert is_trained.wait(timeout=60)
        return x

    trainer = threading.Thread(target=train)
    trainer.start()
    seewhy.Explainer(Net(hold), layer="last").heatmaps(IMAGES, 0)
    trainer.join()
    assert len(runs) == 2
    inputs = torch.tensor(random(1, 6, 5, 5), requires_grad=True)
    block(inputs).sum().backward()
    torch.testing.assert_close(result[0], inputs.grad)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoints_are_checkpoints_again_afterwards(use_reentrant):
    before = dict(vars(checkpointing.CheckpointFunction))
    model, runs = Net(partial(checkpoint, use_reentrant=use_reentrant)), []
    seewhy.Explainer(model, layer="block.conv").heatmaps(IMAGES, 0)
    with pytest.raises(ModelRunError):
        seewhy.Explainer(model, layer="block.conv").heatmaps(IMAGES[:, :2], 0)
    assert dict(vars(checkpointing.CheckpointFunction)) == before
    model.block.register_forward_pre_hook(lambda *_: runs.append(1))
    model(torch.tensor(IMAGES, requires_grad=True)).sum().backward()
    assert len(runs) == 2


class OwnCheckpoint(torch.autograd.graph.saved_tensors_hooks):
    """A checkpoint of another library: it keeps positions instead of tensors, and computes those when they are read."""

    def __init__(self, function, x):
        self.count, tensors = 0, []

        def pack(_):
            self.count += 1
            return self.count - 1

        def unpack(position):
            if not tensors:
                with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(tensors.append, lambda x: x):
                    function(x.detach().requires_grad_())
            return tensors[position]

        super().__init__(pack, unpack)


def own_checkpoint(function, x):
    with OwnCheckpoint(function, x):
        return function(x)


@pytest.mark.skipif(not hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"), reason="PyTorch before 2.8")
def test_a_layer_in_another_library_s_checkpoint_is_refused():
    model = Net(own_checkpoint)
    with pytest.raises(
        LayerError, match=r"'block\.conv' is called inside .*saved_tensors_hooks.*turn checkpointing off"
    ):
        seewhy.Explainer(model, layer="block.conv").heatmaps(IMAGES, 0)
    for layer in ("stem", "last"):
        found, expected = (seewhy.Explainer(each, layer=layer).heatmaps(IMAGES, 0).values for each in (model, Net()))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_hooks_around_the_whole_run_are_no_obstacle():
    expected = seewhy.Explainer(Net(), layer="block.conv").heatmaps(IMAGES, 0).values
    with torch.autograd.graph.save_on_cpu():
        found = seewhy.Explainer(Net(), layer="block.conv").heatmaps(IMAGES, 0).values
    np.testing.assert_array_equal(found, expected)


class Reversible(torch.autograd.Function):
    """Runs a module without gradients, and again in the backward pass."""

    @staticmethod
    def forward(ctx, x, module, *_parameters):
        ctx.module = module
        ctx.save_for_backward(x)
        with torch.no_grad():
            return module(x)

    @staticmethod
    def backward(ctx, gradient):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            torch.autograd.backward(ctx.module(x), gradient, inputs=[x])
        return x.grad, *[None] * (len(ctx.needs_input_grad) - 1)


def test_around_a_function_that_computes_again_maps_are_right_and_inside_it_there_is_no_gradient():
    model, plain = Net(lambda block, x: Reversible.apply(x, block, *block.parameters())), Net()
    for layer in ("stem", "last"):
        found, expected = (seewhy.Explainer(each, layer=layer).heatmaps(IMAGES, 0) for each in (model, plain))
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6)
    with pytest.raises(NoGradientError, match=r"No gradient reaches the layer 'block\.conv'"):
        seewhy.Explainer(model, layer="block.conv").heatmaps(IMAGES, 0)


# Models that differentiate while they run


def own_gradient(x, potential):
    """The gradient of a potential, as a model of forces computes it."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(potential(x), x)
    return gradient


def own_backward(x, potential):
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        torch.autograd.backward(potential(x), inputs=[x])
    return x.grad


def in_the_callers_mode(x, potential):
    """Without an `enable_grad` of the model's own, so that it cannot predict under `no_grad` either."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(potential(x), x)[0]


def forward_mode(x, potential):
    """The slopes along ones, by forward differentiation, times ones."""
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        slope = torch.autograd.forward_ad.unpack_dual(potential(dual)).tangent
    return slope * torch.ones_like(x)


GRADIENTS = {
    "autograd.grad": own_gradient,
    "backward": own_backward,
    "in the caller's mode": in_the_callers_mode,
    "jacobian": lambda x, potential: torch.autograd.functional.jacobian(potential, x),
    "func.grad": lambda x, potential: torch.func.grad(potential)(x),
    "func.jacrev": lambda x, potential: torch.func.jacrev(potential)(x),
    "func.jvp": lambda x, potential: torch.func.jvp(potential, (x,), (torch.ones_like(x),))[1] * torch.ones_like(x),
    "forward mode": forward_mode,
}


class Forces(nn.Module):
    """Classifies the gradients of a potential of the image."""

    def __init__(self, gradient):
        super().__init__()
        torch.manual_seed(0)
        self.potential = nn.Conv2d(3, 4, 3)
        self.conv = nn.Conv2d(3, 8, 3)
        self.dense = nn.Linear(8, 3)
        self.gradient = gradient

    def forward(self, x):
        slopes = self.gradient(x, lambda x: functional.softplus(self.potential(x)).sum())
        return self.dense(self.conv(slopes).relu().mean((2, 3)))


class Rest(nn.Module):
    """The same model after its gradient, which it is given."""

    def __init__(self, forces):
        super().__init__()
        self.conv, self.dense = forces.conv, forces.dense

    def forward(self, slopes):
        return self.dense(self.conv(slopes).relu().mean((2, 3)))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # PyTorch's own, forward
@pytest.mark.parametrize("method", ["gradcam", "eigencam", "ablationcam"])
@pytest.mark.parametrize("name", GRADIENTS)
def test_a_model_that_differentiates_before_the_layer(name, method):
    model, image = Forces(GRADIENTS[name]), IMAGES[:1]  # forward mode sums over the images
    slopes = model.gradient(torch.tensor(image), lambda x: functional.softplus(model.potential(x)).sum()).detach()
    found = seewhy.Explainer(model, method, "conv").heatmaps(image, [0, 2])
    expected = seewhy.Explainer(Rest(model), method, "conv").heatmaps(slopes.numpy(), [0, 2])
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", GRADIENTS)
def test_perturbations_and_predictions_of_a_model_that_differentiates(name):
    """Methods that tap the input, and predictions, run without gradients elsewhere."""
    model = Forces(GRADIENTS[name])
    occlusion = seewhy.methods.get("occlusion", window=4, stride=4)
    found = seewhy.Explainer(model, occlusion, signed=True).heatmaps(IMAGES[:1], 1, batch_size=1)
    logits = model(torch.tensor(IMAGES[:1])).detach()
    np.testing.assert_allclose(found.scores[0, 0], logits[0, 1], rtol=1e-5)
    assert np.abs(found.values).max() > 0
    classifier = seewhy.Classifier(model, preprocess=seewhy.Preprocessing((12, 12), std=255))
    image = (255 * IMAGES[0].transpose(1, 2, 0).clip(0, 1)).astype(np.uint8)
    pixels = torch.tensor(image.transpose(2, 0, 1)[None] / np.float32(255))
    (prediction,) = classifier.predict([image])
    assert prediction[0].probability == pytest.approx(float(model(pixels).detach().softmax(1).max()), rel=1e-5)


def test_a_model_that_differentiates_after_the_layer():
    """Its gradients are constants, as they are for a hook of the user's own."""

    class Sharpened(Forces):
        def forward(self, x):
            maps = self.conv(x)
            slopes = own_gradient(maps, lambda x: (functional.softplus(x) ** 2).sum())
            return self.dense((maps * slopes).mean((2, 3)))

    model = Sharpened(None)
    found = seewhy.Explainer(model, "layercam", "conv", signed=True).heatmaps(IMAGES, 1).values[:, 0]
    maps = model.conv(torch.tensor(IMAGES)).detach()
    slopes = own_gradient(maps, lambda x: (functional.softplus(x) ** 2).sum())
    gradients = model.dense.weight[1].detach()[None, :, None, None] * slopes / 100
    np.testing.assert_allclose(found, (maps * gradients.relu()).sum(1), rtol=1e-4, atol=1e-6)


def test_a_failure_in_a_model_that_differentiates_is_its_own():
    model = Forces(lambda x, potential: torch.autograd.grad(potential(x.detach()).detach(), x)[0])
    with pytest.raises(ModelRunError, match="does not require grad"):
        seewhy.Explainer(model, layer="conv").heatmaps(IMAGES, 0)
