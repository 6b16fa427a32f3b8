"""Guided backpropagation and the other methods to the pixels on native PyTorch models."""

import numpy as np
import pytest
import torch
from tests.contracts import reference, reference_pixels
from tests.contracts.reference import close
from torch import nn
from torch.nn import functional

import seewhy
from seewhy import methods
from seewhy.errors import MethodError
from seewhy.frameworks import LayerChoice, framework_for
from seewhy.frameworks.layers import INPUT
from seewhy.targets import Class, Objective

INDICES = (2, 0, 3)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Reference(nn.Module):
    """The model of tests/contracts/reference.py; `activation` follows each of its convolutions."""

    def __init__(self, activation, ending=nn.Identity()):  # noqa: B008
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.features = nn.Conv2d(8, 6, 3)
        self.act = activation if isinstance(activation, nn.Module) else Call(activation)
        self.dense = nn.Linear(10 * 8 * 6, reference.CLASSES)
        self.ending = ending
        kernels, biases = reference.weights()
        kernels = {
            "first": kernels["first"].transpose(3, 2, 0, 1),
            "features": kernels["features"].transpose(3, 2, 0, 1),
            "dense": kernels["dense"].T,
        }
        with torch.no_grad():
            for name, kernel in kernels.items():
                getattr(self, name).weight.copy_(torch.tensor(kernel))
                getattr(self, name).bias.copy_(torch.tensor(biases[name]))

    def forward(self, image):
        x = self.act(self.features(self.act(self.first(image))))
        return self.ending(self.dense(x.movedim(1, -1).flatten(1)))  # flattened as the reference's, channels last


def guided(model, inputs, gradient_rule="guided", layer=INPUT, score="logit"):
    framework = framework_for(model)
    inputs = framework.check_inputs(inputs.transpose(0, 3, 1, 2))
    return framework.capture(
        inputs, LayerChoice(layer), Objective(Class(INDICES), score), "gradients", gradient_rule
    ).gradients.numpy()


RELUS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "F.relu": functional.relu,
    "F.relu in place": lambda x: functional.relu(x, inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda x: x.relu(),
    "Tensor.relu_": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_": lambda x: x.clamp_(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "clamp by a tensor": lambda x: torch.clamp(x, min=torch.zeros(())),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "maximum turned": lambda x: torch.maximum(torch.zeros_like(x), x),
    "threshold": nn.Threshold(0, 0),
    "twice": lambda x: x.relu().clamp(min=0),
}


@pytest.mark.parametrize("relu", RELUS)
def test_every_kind_of_relu_is_guided(relu):
    inputs = reference.images()
    close(guided(Reference(RELUS[relu]), inputs), reference_pixels.gradients(inputs, INDICES, guided=True))
    close(guided(Reference(RELUS[relu]), inputs, "plain"), reference_pixels.gradients(inputs, INDICES))


@pytest.mark.parametrize(
    "relu",
    [
        nn.ReLU6(),
        nn.ReLU6(inplace=True),
        functional.relu6,
        nn.Hardtanh(0, 6),
        lambda x: x.clamp(0, 6),
        lambda x: functional.hardtanh_(x, 0.0, 6.0),
    ],
)
def test_relu6_lets_back_only_between_0_and_6(relu):
    inputs = 8 * reference.images()
    close(guided(Reference(relu), inputs), reference_pixels.gradients(inputs, INDICES, most=6, guided=True))


def test_a_division_by_a_number_is_no_activation():
    """The overload for scalars, which detectors of transformers call, saves a number and no tensor."""
    scaled = guided(Reference(lambda x: torch.ops.aten.div.Scalar(x.relu(), 2.0)), reference.images())
    np.testing.assert_allclose(scaled, guided(Reference(lambda x: x.relu() / 2), reference.images()), rtol=1e-5)


def test_a_zero_is_not_positive_however_the_relu_is_written():
    for relu in (lambda x: x.clamp(max=0).clamp(min=0), lambda x: torch.maximum(x.clamp(max=0), torch.zeros(()))):
        np.testing.assert_array_equal(guided(Reference(relu), reference.images()), 0)


class Own(torch.autograd.Function):
    """A swish with a derivative of its own."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x.sigmoid() * (1 + x * (1 - x.sigmoid()))


OTHERS = [
    ("GELU", nn.GELU()),
    ("GELU", nn.GELU("tanh")),
    (r"SiLU \(swish\)", nn.SiLU(inplace=True)),
    ("leaky ReLU", nn.LeakyReLU()),
    ("ELU or SELU", nn.ELU()),
    ("ELU or SELU", nn.SELU()),
    ("CELU", nn.CELU()),
    (r"hard SiLU \(hard swish\)", nn.Hardswish()),
    ("hard sigmoid", nn.Hardsigmoid()),
    ("hard sigmoid", lambda x: x * functional.relu6(x + 3) / 6),
    ("hard sigmoid", lambda x: x * (functional.relu6(x + 3) / 6)),
    ("hard sigmoid", lambda x: x * torch.ops.aten.div.Scalar(functional.relu6(x + 3), 6.0)),
    ("hard sigmoid", lambda x: torch.ops.aten.mul.Scalar(x * functional.relu6(x + 3), 1 / 6)),
    ("Mish", nn.Mish()),
    ("PReLU", nn.PReLU()),
    ("PReLU", lambda x: x.relu() - 0.1 * (-x).relu()),
    ("RReLU", nn.RReLU()),
    ("softplus", nn.Softplus()),
    ("tanh", nn.Tanh()),
    ("clamp with the lower bound -1", nn.Hardtanh()),
    ("sigmoid", lambda x: x * x.mean(dim=(2, 3), keepdim=True).sigmoid()),
    (r"choice by where\(...\)", lambda x: torch.where(x > 0, x, 0.1 * x)),
    ("torch.autograd.Function OwnBackward", Own.apply),
]


@pytest.mark.parametrize(("kind", "activation"), OTHERS)
def test_other_activations_are_refused_by_name_and_passed_on_request(kind, activation):
    model, inputs = Reference(activation), reference.images(1)
    with pytest.raises(MethodError, match=f"another activation: {kind}.*'act'.*others='pass'"):
        guided(model, inputs)
    close(guided(model, inputs, "guided-where-relu"), guided(model, inputs, "plain"))


@pytest.mark.parametrize("rule", ["guided", "guided-where-relu"])
@pytest.mark.parametrize("use_reentrant", [True, False])
def test_the_relus_of_a_checkpointed_part_are_guided_too(use_reentrant, rule):
    def checkpointed(x):
        return torch.utils.checkpoint.checkpoint(functional.relu, x, use_reentrant=use_reentrant)

    inputs = reference.images()
    close(guided(Reference(checkpointed), inputs, rule), reference_pixels.gradients(inputs, INDICES, guided=True))


class CheckpointFunction(torch.autograd.Function):
    """A checkpoint of another library, which runs its part of the model in the backward pass only."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return functional.relu(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (ctx.saved_tensors[0] > 0)


@pytest.mark.parametrize("rule", ["guided", "guided-where-relu"])
def test_another_library_s_checkpoint_hides_its_relus(rule):
    with pytest.raises(MethodError, match=r"cannot reach the ReLUs inside .*CheckpointFunctionBackward"):
        guided(Reference(CheckpointFunction.apply), reference.images(1), rule)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_a_final_softmax_does_not_count(score):
    inputs = reference.images()
    found = guided(Reference(nn.ReLU(), nn.Softmax(dim=-1)), inputs, score=score)
    if score == "logit":
        close(found, reference_pixels.gradients(inputs, INDICES, guided=True))
    assert (found != 0).any()


def test_trainable_weights_are_no_part_of_the_way():
    """The gate is a sigmoid of a weight alone, and no activation of anything that was seen."""
    gate = nn.Parameter(torch.zeros(()))
    inputs = reference.images()
    found = guided(Reference(lambda x: 2 * gate.sigmoid() * x.relu()), inputs)
    close(found, reference_pixels.gradients(inputs, INDICES, guided=True))


def test_from_a_layer_on_only_what_follows_is_guided():
    """Before "features" there is a tanh; after it, one ReLU, whose guided gradient is the dense layer's own."""

    class Mixed(Reference):
        def forward(self, image):
            return self.dense(self.features(self.first(image).tanh()).relu().movedim(1, -1).flatten(1))

    model, inputs = Mixed(nn.Identity()), reference.images()
    found = guided(model, inputs, layer="features")
    maps = guided(model, inputs, "plain", layer="features")
    close(found, np.maximum(maps, 0))
    with pytest.raises(MethodError, match=r"tanh.*'features'"):
        guided(model, inputs)


@pytest.mark.parametrize("name", reference_pixels.OPTIONS)
def test_maps_are_what_numpy_gives_and_the_model_is_unharmed(name):
    model, inputs = Reference(nn.ReLU(inplace=True)).train(), reference.images()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    explainer = seewhy.Explainer(
        model, methods.get(name, **reference_pixels.OPTIONS[name]), reference_layer(name), signed=True
    )
    found = explainer.heatmaps(inputs.transpose(0, 3, 1, 2), list(INDICES), batch_size=4)
    wanted = getattr(reference_pixels.maps(inputs, INDICES), name)
    np.testing.assert_allclose(found.values, wanted, atol=2e-6 * np.abs(wanted).max())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert model.training
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def reference_layer(name):
    return "act" if name == "guided_gradcam" else "auto"


def test_many_targets_go_back_together_and_each_is_its_own():
    model, inputs = Reference(nn.ReLU()), reference.images(2)
    together = guided(model, inputs)
    framework = framework_for(model)
    batch = framework.check_inputs(inputs.transpose(0, 3, 1, 2))
    for position, index in enumerate(INDICES):
        alone = framework.capture(
            batch, LayerChoice(INPUT), Objective(Class((index,))), "gradients", "guided"
        ).gradients.numpy()
        close(together[:, position], alone[:, 0])
