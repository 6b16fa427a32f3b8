"""The head of a native PyTorch model, recorded and replayed for perturbations of a layer's activations."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.contracts import reference
from torch import nn
from torch.nn import functional

from seewhy.errors import LayerError, TargetError
from seewhy.frameworks import framework_for
from seewhy.targets import Class, Function, Objective, TopK

ALL = Class((0, 1, 2))
IMAGE = np.random.default_rng(0).standard_normal((1, 3, 8, 6)).astype(np.float32)
VARIATIONS = np.random.default_rng(1).standard_normal((5, 8, 6, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def head(model, layer="conv", target=ALL, inputs=IMAGE, score="logit"):
    framework = framework_for(model)
    return framework.head(framework.check_inputs(inputs), framework.find_layer(layer), Objective(target, score))


def capture(model, layer="conv", target=ALL, inputs=IMAGE, score="logit"):
    framework = framework_for(model)
    layer = framework.find_layer(layer)
    return framework.capture(framework.check_inputs(inputs), layer, Objective(target, score), "none")


def check_unchanged(model, layer="conv", tolerance=1e-5):
    captured = capture(model, layer)
    found = head(model, layer)(np.repeat(captured.activations.numpy(), 3, 0))
    np.testing.assert_allclose(found, captured.scores.expand(3, -1), rtol=tolerance, atol=tolerance)


class Between(nn.Module):
    """A convolution, a function of its maps and of the image, and the mean of each channel as 3 logits."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.beside = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(4, 3)
        self.function = function

    def forward(self, image):
        beside = self.beside(image)
        return self.head(self.function(self.conv(image), beside).mean(dim=(2, 3)))


def by_hand(model, perturbations=VARIATIONS):
    """Run the function of each variation on its own, as the model would."""
    with torch.no_grad():
        beside = model.beside(torch.tensor(IMAGE))
        maps = [torch.tensor(each.transpose(2, 0, 1)[None]).contiguous() for each in perturbations]
        return torch.cat([model.head(model.function(each, beside.clone()).mean(dim=(2, 3))) for each in maps])


def in_place(maps, beside):
    return functional.relu_(maps).add_(beside).clamp_(max=2)


def into_views(maps, beside):
    maps[:, :2] = beside[:, 2:]
    maps[:, 3, 0].mul_(3)
    maps.view(-1)[7] = 5
    maps.transpose(1, 2)[:, 3] += 1
    return maps


def into_zeros_alike(maps, beside):
    found = torch.zeros_like(maps)
    found[..., 1:, :] = maps[..., :-1, :]
    return torch.add(found, beside, alpha=2)


def in_parts(maps, beside):
    first, second = maps.chunk(2, dim=1)
    best, where = torch.max(torch.stack([first, second]), dim=0)
    return torch.cat([best * where, functional.max_pool2d(beside[:, :2], 3, stride=1, padding=1)], dim=1)


def attention(maps, beside):
    queries = maps.flatten(2).transpose(1, 2)
    keys = beside.flatten(2).transpose(1, 2)
    attended = (queries @ keys.transpose(1, 2) / 2).softmax(dim=-1) @ queries
    return attended.transpose(1, 2).reshape(maps.shape)


def recorded_by_itself(maps, beside):
    """With gradients recorded, PyTorch hands views on as other tensors than those that its operations gave."""
    with torch.enable_grad():
        weight = torch.ones(4, requires_grad=True)
        view = (maps * weight[:, None, None]).view(4, -1)
        return (view.t() * 2).t().reshape(maps.shape).detach() + beside


def past_autograd(maps, beside):
    maps.data.mul_(2)
    return maps.data + beside


def shapes_baked_in(maps, beside):
    return maps.reshape(maps.shape[0] * 2, 2, -1).sum(1, keepdim=True).reshape(1, 2, 8, 6).repeat(1, 2, 1, 1) * beside


def squeezed(maps, beside):
    """Drops the axis of the one image, and takes it up again."""
    return maps.squeeze()[None] + beside


def normed(maps, beside):
    maps = functional.layer_norm(maps, maps.shape[1:])
    return functional.group_norm(functional.instance_norm(maps), 2) * beside


def resized(maps, beside):
    small = functional.adaptive_avg_pool2d(functional.pad(maps, (1, 1, 1, 1)), 3)
    return functional.interpolate(small, scale_factor=2, mode="bilinear")[:, :, :1, :1] + beside


FUNCTIONS = [
    in_place,
    into_views,
    into_zeros_alike,
    in_parts,
    attention,
    recorded_by_itself,
    past_autograd,
    shapes_baked_in,
    squeezed,
    normed,
    resized,
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_variation_as_if_it_were_alone(function):
    model = Between(function)
    check_unchanged(model)
    np.testing.assert_allclose(head(model)(VARIATIONS), by_hand(model), rtol=1e-4, atol=1e-5)


class Bottleneck(nn.Module):
    def __init__(self, channels, inner):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


def residual(*ending):
    stem = (nn.Conv2d(3, 6, 3, padding=1), nn.MaxPool2d(2), Bottleneck(6, 4), Bottleneck(6, 4))
    model = nn.Sequential(*stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(6, 3), *ending)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.normal_()
    return model


@pytest.mark.parametrize("layer", ["0", "1", "2", "2.conv1", "2.bn2", "2.relu#1", "3.bn1", "3.relu", "auto"])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_unchanged_activations_give_the_captured_scores(layer, order):
    check_unchanged(residual(nn.Softmax(1)).to(memory_format=order), layer)


def test_changed_activations_inside_a_block_with_its_skip_connection_as_it_was():
    model = residual(nn.Softmax(1)).eval()
    perturbations = np.random.default_rng(2).standard_normal((4, 4, 3, 6)).astype(np.float32)
    block = model[3]
    with torch.no_grad():
        skipped = model[:3](torch.tensor(IMAGE))
        maps = functional.relu(block.bn2(torch.tensor(perturbations.transpose(0, 3, 1, 2))) + skipped)
        logits = model[7](maps.mean(dim=(2, 3)))
    np.testing.assert_allclose(head(model, "3.conv2")(perturbations), logits, rtol=1e-4, atol=1e-5)
    probabilities = head(model, "3.conv2", score="probability")(perturbations)
    np.testing.assert_allclose(probabilities, logits.softmax(1), rtol=1e-4, atol=1e-6)


def test_the_reference():
    """Variations of the first layer, against the same layers in NumPy."""
    kernels, biases = reference.weights()
    features, dense = nn.Conv2d(8, 6, 3), nn.Linear(480, 4)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), features, nn.ReLU(inplace=True), nn.Flatten(), dense)
    by_class = kernels["dense"].reshape(10, 8, 6, 4).transpose(3, 2, 0, 1).reshape(4, -1)
    weights = ((features, kernels["features"].transpose(3, 2, 0, 1), "features"), (dense, by_class, "dense"))
    for module, weight, name in weights:
        module.weight.data, module.bias.data = torch.tensor(weight.copy()), torch.tensor(biases[name])
    hidden = np.random.default_rng(2).standard_normal((5, *reference.SIZE, 8)).astype(np.float32)
    maps = np.maximum(reference.convolve(hidden, kernels["features"], biases["features"], padding=0), 0)
    logits = maps.reshape(5, -1) @ kernels["dense"] + biases["dense"]
    found = head(model, "0", Class((3, 0)), reference.images(1).transpose(0, 3, 1, 2))(hidden)
    np.testing.assert_allclose(found, logits[:, [3, 0]], rtol=1e-4, atol=1e-5)


def test_targets_read_the_outputs_of_all_perturbations_at_once():
    model = Between(in_place)
    logits = by_hand(model).numpy()

    def least(outputs):
        assert outputs.shape == (5, 3)
        return outputs.min(dim=1).values if float(outputs.sum()) < 1e9 else outputs[:, 0]

    best = np.argsort(-logits[:1])[:, :2]
    cases = ((TopK(2).with_classes(best), logits[:, best[0]]), (Function(least), logits.min(axis=1, keepdims=True)))
    for target, expected in cases:
        np.testing.assert_allclose(head(model, target=target)(VARIATIONS), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(TargetError, match="There is no class 3"):
        head(model, target=Class((3,)))


def test_a_final_sigmoid_in_place_is_bypassed():
    class Sigmoids(Between):
        def forward(self, image):
            return super().forward(image).sigmoid_()

    model = Sigmoids(in_place)
    np.testing.assert_allclose(head(model)(VARIATIONS), by_hand(model), rtol=1e-4, atol=1e-5)


# What cannot be played again


def reads_item(maps, _):
    return maps * (2 if maps.sum() > 0 else 3)


def reads_numpy(maps, _):
    return maps + torch.tensor(maps.detach().numpy().mean())


def reads_list(maps, _):
    return maps + sum(maps.flatten().tolist())


def writes_into_zeros(maps, _):
    found = torch.zeros(1, 4, 8, 6)
    found[:, :, 1:] = maps[:, :, :-1]
    return found


def writes_by_name(maps, beside):
    found = torch.empty(1, 4, 8, 6)
    torch.add(maps, beside, out=found)
    return found


def rewrites(maps, beside):
    maps = maps + beside
    beside.mul_(2)
    return maps + beside


def shapes_by_values(maps, beside):
    return maps[maps > 0].sum() + beside


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (reads_item, "reads a tensor.s values in Python"),
        (reads_numpy, "reads a tensor.s values in Python"),
        (reads_list, "reads a tensor.s values in Python"),
        (writes_into_zeros, "writes values that depend on the layer into a tensor that does not"),
        (writes_by_name, "writes values that depend on the layer into a tensor that does not"),
        (rewrites, "modifies in place a tensor that does not depend on the layer"),
        (shapes_by_values, "has an operation that PyTorch cannot run for a batch"),
    ],
)
def test_a_head_that_cannot_be_replayed_is_an_error(function, reason):
    with pytest.raises(LayerError, match=f"cannot be run from the layer 'conv' on.* its head {reason}"):
        head(Between(function))(VARIATIONS)


def test_what_happens_beside_the_layer_may_do_as_it_likes():
    def beside_only(maps, beside):
        beside = beside * (2 if beside.sum() > 0 else 3)
        beside[:, 0] = 0
        return maps + beside.clone().add_(float(beside.mean()))

    model = Between(beside_only)
    np.testing.assert_allclose(head(model)(VARIATIONS), by_hand(model), rtol=1e-4, atol=1e-5)


# The model is unchanged


class Counted(Between):
    runs = 0

    def forward(self, image):
        self.runs += 1
        return super().forward(image)


def test_the_model_runs_once_however_much_is_varied():
    model = Counted(in_place)
    framework = framework_for(model)
    layer = framework.find_layer("conv")
    framework.calls(IMAGE)
    before = model.runs
    head = framework.head(IMAGE, layer, Objective(ALL))
    for _ in range(3):
        head(VARIATIONS)
    assert model.runs == before + 1


def test_trained_weights_are_seen():
    model = Between(in_place)
    framework = framework_for(model)
    layer = framework.find_layer("conv")
    framework.head(IMAGE, layer, Objective(ALL))(VARIATIONS)
    with torch.no_grad():
        model.head.weight.mul_(-2)
        model.beside.bias.add_(1)
    found = framework.head(IMAGE, layer, Objective(ALL))(VARIATIONS)
    np.testing.assert_allclose(found, by_hand(model), rtol=1e-4, atol=1e-5)


def test_the_model_is_afterwards_what_it_was():
    model = residual().train()
    model[3].eval()
    values = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    head(model, "2")(np.ones((2, 4, 3, 6), np.float32))
    with pytest.raises(TargetError):
        head(model, "2", Class((7,)))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(each.requires_grad and each.grad is None for each in model.parameters())


def test_modes_of_the_caller_change_nothing():
    model = residual(nn.Softmax(1)).train()
    perturbations = np.random.default_rng(2).standard_normal((4, 4, 3, 6)).astype(np.float32)
    expected = head(model, "2")(perturbations)
    with torch.inference_mode():
        found = head(model, "2")(perturbations)
        assert not found.is_inference()
    assert torch.equal(found, expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        captured = capture(model, "2.conv1")
        found = head(model, "2.conv1")(captured.activations.numpy())
    np.testing.assert_allclose(found, captured.scores, rtol=1e-2)


def test_threads_branch_at_once():
    model = residual(nn.Softmax(1))
    framework = framework_for(model)

    def score(layer):
        activations = capture(model, layer).activations.numpy()
        return framework.head(IMAGE, framework.find_layer(layer), Objective(ALL))(2 * activations)

    layers = ["0", "2", "3.bn1", "3"] * 4
    alone = {layer: score(layer) for layer in layers[:4]}
    with ThreadPoolExecutor(4) as threads:
        for layer, found in zip(layers, threads.map(score, layers), strict=True):
            np.testing.assert_allclose(found, alone[layer], rtol=1e-5)


def test_nothing_is_kept():
    model = Between(attention)
    head(model)(VARIATIONS)
    gc.collect()
    count = sum(type(each) is torch.Tensor for each in gc.get_objects())
    gc.disable()  # what waits for the garbage collector waits with the model's tensors
    try:
        for _ in range(3):
            head(model)(VARIATIONS)
        found = sum(type(each) is torch.Tensor for each in gc.get_objects())
    finally:
        gc.enable()
    assert found <= count
