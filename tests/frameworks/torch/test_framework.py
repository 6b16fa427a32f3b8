"""The tap on native PyTorch models: what it captures, which layer it finds, and that it leaves the model unchanged."""

import threading
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from tests.contracts import memory
from tests.contracts.in_torch import Call, state
from tests.sample_models import (
    PAPER_ACTIVATIONS,
    PAPER_GRADCAM,
    PAPER_GRADIENTS,
    PAPER_HIRESCAM,
    PAPER_INPUT,
    PAPER_LOGITS,
)
from torch import nn
from torch.nn import functional

import seewhy
from seewhy.errors import InputError, LayerError, ModelError, ModelRunError, NoGradientError, OptionError, TargetError
from seewhy.frameworks import framework_for
from seewhy.frameworks.torch.logits import FunctionRecorder
from seewhy.targets import Class, Objective, resolve

BOTH = Class((0, 1))
IMAGE = PAPER_INPUT.transpose(0, 3, 1, 2)  # (N, K, u, v)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def random(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def capture(model, layer="conv", target=BOTH, inputs=IMAGE, score="logit"):
    framework = framework_for(model)
    return framework.capture(framework.check_inputs(inputs), framework.find_layer(layer), Objective(target, score))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


class Paper(nn.Module):
    """The paper model: `between` follows the convolution, `ending` makes the outputs of the logits."""

    def __init__(self, ending=nn.Identity(), between=nn.Identity()):  # noqa: B008
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1)
        self.between = between
        self.dense = nn.Linear(8, 2)
        self.ending = ending
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
            self.conv.bias.copy_(torch.tensor([0.0, 3.0]))
            self.dense.weight.copy_(torch.tensor(PAPER_GRADIENTS.transpose(0, 3, 1, 2).reshape(2, 8)))
            self.dense.bias.zero_()

    def forward(self, image):
        return self.ending(self.dense(torch.flatten(self.between(self.conv(image)), 1)))


# What is captured


SOFTMAX_ENDINGS = {
    "module": nn.Softmax(-1),
    "functional": Call(lambda x: functional.softmax(x, dim=1)),
    "torch": Call(lambda x: torch.softmax(x, 1)),
    "torch.special": Call(lambda x: torch.special.softmax(x, 1)),
    "method": Call(lambda x: x.softmax(dim=-1)),
    "by keyword": Call(lambda x: torch.softmax(input=x, dim=-1)),
    "log-softmax": nn.LogSoftmax(1),
    "log-softmax method": Call(lambda x: x.log_softmax(1)),
    "tail of a Sequential, dropout after it": nn.Sequential(nn.Softmax(-1), nn.Dropout(0.5)),
    "then reshaped": Call(lambda x: x[:, None].softmax(-1).unsqueeze(-1).squeeze(1).flatten(1).view(-1, 2)),
    "then cast": Call(lambda x: x.softmax(-1).to(torch.float64).float().contiguous().clone()),
    "twice, the last counts": Call(lambda x: torch.softmax(x + 0 * torch.sigmoid(x), -1)),
    "none": nn.Identity(),
}


@pytest.mark.parametrize("ending", SOFTMAX_ENDINGS)
def test_the_paper_model_however_it_ends(ending):
    captured = capture(Paper(SOFTMAX_ENDINGS[ending]))
    np.testing.assert_array_equal(captured.activations, PAPER_ACTIVATIONS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.probabilities, softmax(PAPER_LOGITS)[None], rtol=1e-5)
    np.testing.assert_array_equal(captured.indices, [[0, 1]])


LINEAR = torch.tensor([[1.0, 2.0], [0.0, 1.0]])

LAST_OPERATIONS = {
    "a linear layer": (lambda x: functional.linear(x, LINEAR), "logits"),
    "a product and a bias": (lambda x: (x @ LINEAR + LINEAR[0]).view(-1, 1, 2).squeeze(1), "logits"),
    "a product that is overwritten": (lambda x: (x @ LINEAR).exp_(), "linear"),
    "a product of probabilities": (lambda x: x.softmax(1) @ LINEAR, "linear"),
    "a sum of two products": (lambda x: x @ LINEAR + x @ LINEAR, "linear"),
    "a mean": (lambda x: torch.stack([x, x]).mean(0), "linear"),
}


@pytest.mark.parametrize("ending", LAST_OPERATIONS)
def test_outputs_are_logits_where_the_last_operation_is_a_product(ending):
    run, expected = LAST_OPERATIONS[ending]
    functions = FunctionRecorder()
    with functions:
        outputs = run(torch.tensor([[1.0, 3.0], [2.0, 5.0]]))
    assert functions.bypass_final_activation(outputs)[0] == expected


OTHER_AXES = {
    "over the images": lambda x: x.softmax(0),
    "over the images, not told": lambda x: functional.softmax(x[..., None], _stacklevel=1).flatten(1),
    "in rows": lambda x: x.repeat(1, 2).reshape(-1, 2, 2).softmax(-1).flatten(1),
    "in columns": lambda x: x.repeat(1, 2).reshape(-1, 2, 2).softmax(dim=1).flatten(1),
    "logarithms": lambda x: torch.log_softmax(input=x.repeat(1, 2).reshape(-1, 2, 2), dim=2).flatten(1),
}


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("ending", OTHER_AXES)
def test_a_softmax_over_another_axis_than_the_classes_is_not_bypassed(ending):
    functions, logits = FunctionRecorder(), torch.tensor([[1.0, 3.0], [2.0, 5.0]])
    with functions:
        outputs = OTHER_AXES[ending](logits)
    head, seen = functions.bypass_final_activation(outputs)
    assert head == "linear"
    assert seen is outputs


@pytest.mark.parametrize(
    "ending",
    [
        lambda x: x[..., None, None].softmax(1).flatten(1),
        lambda x: nn.Softmax2d()(x[..., None, None]).squeeze(-1).flatten(1),
        lambda x: torch.softmax(x[:, None], -1).squeeze(1),
    ],
)
def test_a_softmax_over_the_classes_is_bypassed_where_axes_of_one_follow(ending):
    functions, logits = FunctionRecorder(), torch.tensor([[1.0, 3.0], [2.0, 5.0]])
    with functions:
        outputs = ending(logits)
    head, seen = functions.bypass_final_activation(outputs)
    assert head == "softmax"
    torch.testing.assert_close(seen, logits)


def test_both_methods_and_the_predictions():
    model = Paper(nn.Softmax(-1))
    for method, golden in (("gradcam", PAPER_GRADCAM), ("hirescam", PAPER_HIRESCAM)):
        heatmaps = seewhy.Explainer(model, method, layer="conv").heatmaps(IMAGE, "top-2")
        np.testing.assert_allclose(heatmaps.values, golden[None], atol=1e-6)
        np.testing.assert_allclose(heatmaps.outputs, softmax(PAPER_LOGITS)[None], rtol=1e-5)
        assert (heatmaps.values.dtype, heatmaps.indices.dtype) == (np.float32, np.int32)
    framework = framework_for(model)
    np.testing.assert_allclose(framework.predict(IMAGE), softmax(PAPER_LOGITS)[None], rtol=1e-5)


def test_probabilities_on_request():
    """The softmax's own derivative, by hand: dp_0/dA = p_0 (1 - p_0) (dy_0/dA - dy_1/dA)."""
    captured = capture(Paper(nn.Softmax(-1)), score="probability")
    p = softmax(PAPER_LOGITS)
    expected = p[0] * p[1] * (PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1])
    np.testing.assert_allclose(captured.gradients[0, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(captured.gradients[0, 1], -expected, rtol=1e-4)


@pytest.mark.parametrize(
    "sigmoid", [nn.Sigmoid(), Call(torch.sigmoid), Call(torch.special.expit), Call(torch.sigmoid_)]
)
def test_many_sigmoids_are_many_logits(sigmoid):
    captured = capture(Paper(sigmoid))
    np.testing.assert_allclose(captured.scores, PAPER_LOGITS[None])
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    np.testing.assert_allclose(captured.probabilities, 1 / (1 + np.exp(-PAPER_LOGITS))[None], rtol=1e-5)


def test_a_single_sigmoid_is_two_classes():
    captured = capture(Paper(Call(lambda x: torch.sigmoid(x[:, :1]))))
    np.testing.assert_allclose(captured.scores, [[7, -7]])  # class 0 is the negated logit
    np.testing.assert_allclose(captured.gradients[0, 1], PAPER_GRADIENTS[0], atol=1e-6)
    np.testing.assert_allclose(captured.gradients[0, 0], -PAPER_GRADIENTS[0], atol=1e-6)


def test_targets_of_every_kind_have_the_same_gradients():
    for target in ("top-2", lambda logits: logits, ["top-1", 1], [[0, 1]]):
        captured = capture(Paper(nn.Softmax(-1)), target=resolve(target, int))
        np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None], atol=1e-6)
    difference = capture(Paper(), target=resolve(lambda logits: logits[:, 0] - logits[:, 1], int))
    np.testing.assert_allclose(difference.gradients[:, 0], (PAPER_GRADIENTS[0] - PAPER_GRADIENTS[1])[None], atol=1e-6)


def test_images_of_a_batch_and_many_targets_do_not_influence_each_other():
    """Forty targets go backwards in more than one lot; each is what it is alone."""
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(64, 40)
    )
    inputs = random(3, 1, 7, 7)
    explainer = seewhy.Explainer(model, layer="1")
    together = explainer.heatmaps(inputs, list(range(40)))
    assert together.values.max() > 0
    for image in range(3):
        for target in (0, 31, 32, 39):
            alone = explainer.heatmaps(inputs[image : image + 1], target).values[0, 0]
            np.testing.assert_allclose(together.values[image, target], alone, atol=1e-6)


class OwnReLU(torch.autograd.Function):
    """Its backward pass reads values, which is impossible for a batch of gradients."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * (x > 0) if float(gradient.abs().sum()) > 0 else gradient


def test_a_function_of_the_model_s_own_goes_backwards_one_target_at_a_time():
    captured = capture(Paper(between=Call(OwnReLU.apply)))
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None] * (PAPER_ACTIVATIONS > 0), atol=1e-6)


def test_a_backward_hook_of_the_user_s_sees_one_target_at_a_time():
    model, seen = Paper(), []
    model.dense.register_full_backward_hook(lambda _module, _given, gradients: seen.append(gradients[0].tolist()))
    capture(model)
    assert seen == [[[1, 0]], [[0, 1]]]


# In place


IN_PLACE = {
    "module": nn.ReLU(inplace=True),
    "functional": Call(functional.relu),
    "functional, in place": Call(functional.relu_),
    "added to": Call(lambda x: functional.relu(x.__iadd__(0.0))),
    "on a view": Call(lambda x: x.transpose(0, 1).relu_().transpose(0, 1)),
}


@pytest.mark.parametrize("between", IN_PLACE)
def test_what_follows_in_place_does_not_rewrite_the_activations(between):
    captured = capture(Paper(between=IN_PLACE[between]))
    np.testing.assert_array_equal(captured.activations, PAPER_ACTIVATIONS[None])  # -1 and all
    np.testing.assert_allclose(captured.gradients, PAPER_GRADIENTS[None] * (PAPER_ACTIVATIONS > 0), atol=1e-6)


def test_the_result_of_an_in_place_relu_is_a_layer_of_its_own():
    model = Paper(between=nn.ReLU(inplace=True))
    heatmaps = seewhy.Explainer(model).heatmaps(IMAGE, [0, 1])
    assert heatmaps.layer == "between"
    captured = capture(model, "auto")
    np.testing.assert_array_equal(captured.activations, np.maximum(PAPER_ACTIVATIONS, 0)[None])


def test_the_input_is_not_written_over():
    inputs = IMAGE.copy()
    capture(nn.Sequential(Call(lambda x: x.mul_(0)), Paper()), "1.conv", inputs=inputs)
    np.testing.assert_array_equal(inputs, IMAGE)


# Which layer


class Block(nn.Module):
    """torchvision's BasicBlock: one ReLU, in place, called twice."""

    def __init__(self, given, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(given, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = nn.Conv2d(given, planes, 1, stride, bias=False) if stride > 1 else None

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(2)
        self.layer3 = nn.Sequential(Block(4, 4, 1), Block(4, 4, 1))
        self.layer4 = nn.Sequential(Block(4, 6, 2), Block(6, 6, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 5)

    def head(self, x):
        return self.fc(torch.flatten(self.avgpool(x), 1))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.head(self.layer4(self.layer3(x)))


def resnet():
    """A ResNet whose batch normalisation has seen something."""
    model = ResNet()
    for _ in range(3):
        model(torch.randn(4, 3, 16, 16))
    return model.eval()


def vgg():
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    model = nn.Module()
    model.features, model.avgpool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d((2, 2))
    model.classifier = nn.Sequential(nn.Flatten(), nn.Linear(24, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 5))
    return nn.Sequential(model.features, model.avgpool, model.classifier)


def flattened():
    """The maps are flattened before they are pooled, and dropped out: still the convolution's."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout2d(), nn.Flatten(2), Call(lambda x: x.mean(2)), nn.Linear(4, 5))


@pytest.mark.parametrize(
    ("build", "path", "shape"),
    [(resnet, "layer4.1", (4, 4, 6)), (vgg, "0.4", (8, 8, 6)), (flattened, "0", (14, 14, 4))],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_auto_takes_the_last_layer_with_space(build, path, shape, memory_format):
    model = build().to(memory_format=memory_format)
    heatmaps = seewhy.Explainer(model).heatmaps(random(2, 3, 16, 16))
    assert heatmaps.layer == path
    calls = framework_for(model).calls(random(1, 3, 16, 16))
    assert [(call.path, call.shape) for call in calls if call.is_candidate][-1] == (path, shape)


def by_hand(model, inputs, classes):
    """Grad-CAM of the last block, by autograd on a model that is cut in two by hand."""
    x = model.relu(model.bn1(model.conv1(torch.tensor(inputs))))
    activations = model.layer4(model.layer3(model.maxpool(x))).detach().requires_grad_()
    logits = model.head(activations)
    maps = []
    for index in classes:
        (gradient,) = torch.autograd.grad(logits[:, index].sum(), activations, retain_graph=True)
        maps.append(torch.relu((gradient.mean((2, 3), keepdim=True) * activations).sum(1)).detach().numpy())
    return np.stack(maps, axis=1)


def test_a_residual_model_is_what_it_is_by_hand():
    model, inputs = resnet(), random(2, 3, 16, 16)
    message_of = [seewhy.Explainer(model, layer=layer) for layer in ("auto", "layer4.1", model.layer4[1], "layer4")]
    expected = by_hand(model, inputs, [0, 3])
    assert expected.max() > 0
    for explainer in message_of:
        np.testing.assert_allclose(explainer.heatmaps(inputs, [0, 3]).values, expected, atol=1e-6)


def test_a_skip_round_the_layer_goes_on_being_used_but_is_not_differentiated():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.tapped = nn.Conv2d(1, 1, 1, bias=False)

        def forward(self, x):
            return ((self.tapped(x) + x).flatten(1) * torch.arange(4.0)).sum(1, keepdim=True)

    model = Skip()
    nn.init.constant_(model.tapped.weight, 2)
    captured = capture(model, "tapped", Class((0,)), np.ones((1, 1, 2, 2), np.float32))
    assert captured.scores[0, 0] == 3 * 6
    np.testing.assert_array_equal(captured.gradients[0, 0, ..., 0], [[0, 1], [2, 3]])


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.constant_(self.shared.weight, 2)

    def forward(self, x):
        return (self.shared(self.shared(x)).flatten(1) * torch.arange(4.0)).sum(1, keepdim=True)


def test_of_a_shared_layer_the_call_that_is_meant_is_explained():
    for message_of in ("shared", "shared#2"):
        last = capture(Shared(), message_of, Class((0,)))
        np.testing.assert_array_equal(last.activations, 4 * PAPER_INPUT)
        np.testing.assert_array_equal(last.gradients[0, 0, ..., 0], [[0, 1], [2, 3]])
    first = capture(Shared(), "shared#1", Class((0,)))
    np.testing.assert_array_equal(first.activations, 2 * PAPER_INPUT)
    np.testing.assert_array_equal(first.gradients[0, 0, ..., 0], [[0, 2], [4, 6]])
    with pytest.raises(LayerError, match="There is no call shared#3: the layer 'shared' is called 2 times"):
        capture(Shared(), "shared#3", Class((0,)))


@pytest.mark.parametrize("space", [(6,), (4, 5), (3, 4, 5)])
def test_signals_images_and_volumes(space):
    """y_c = mean of w_c A over space: Grad-CAM is ReLU(sum_k w_ck A_k) over the number of positions."""
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[len(space)](2, 3, 1)
    dense = nn.Linear(3, 4)
    model = nn.Sequential(convolution, Call(lambda x: x.flatten(2).mean(2)), dense)
    inputs = random(2, 2, *space)
    heatmaps = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2, 3])
    maps = convolution(torch.tensor(inputs)).detach().numpy()
    expected = np.einsum("nk...,ck->nc...", maps, dense.weight.detach().numpy()) / np.prod(space)
    assert heatmaps.values.shape == (2, 4, *space)
    np.testing.assert_allclose(heatmaps.values, np.maximum(expected, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer4.2", r"There is no layer 'layer4.2' in the model. Did you mean 'layer4.[01]"),
        ("conv2", r"4 layers are called 'conv2'; give one of their paths: layer3.0.conv2, layer3.1.conv2,"),
        (nn.Conv2d(1, 1, 1), r"Conv2d\(1, 1, .*\) is not part of the model"),
        ("fc", r"The layer 'fc' cannot be explained: its output \(5,\) is not one tensor with more than one"),
        ("spare", "'spare' is part of the model, but is not called when it runs"),
    ],
)
def test_layers_that_cannot_be_meant(layer, message):
    model = resnet()
    model.spare = nn.Conv2d(1, 1, 1)
    with pytest.raises(LayerError, match=message):
        seewhy.Explainer(model, layer=layer).heatmaps(random(1, 3, 16, 16))


@pytest.mark.parametrize(
    "split",
    [
        torch.detach,
        torch.zeros_like,
        lambda x: x.argmax(1, keepdim=True).float().expand(-1, 2, -1, -1),
        torch.no_grad()(abs),
    ],
    ids=["detach", "not used", "argmax", "no_grad"],
)
@pytest.mark.parametrize("is_trainable", [True, False])
def test_a_layer_no_gradient_reaches_is_an_error_and_not_a_blank_map(split, is_trainable):
    model = Paper(between=Call(split)).requires_grad_(is_trainable)
    with pytest.raises(NoGradientError, match="No gradient reaches the layer 'conv': the scores do not depend on"):
        capture(model)


# Around the model


class FrozenPart(Paper):
    """The layer and a part of its head in a no_grad block of the model's own."""

    def forward(self, image):
        with torch.no_grad():
            maps = self.conv(image)
        return self.ending(self.dense(torch.flatten(maps, 1)))


def test_frozen_parts_are_explained_like_any_other():
    for model in (Paper().requires_grad_(False), FrozenPart(), FrozenPart().requires_grad_(False)):
        np.testing.assert_allclose(capture(model).gradients, PAPER_GRADIENTS[None], atol=1e-6)


def test_what_comes_before_the_layer_is_not_recorded():
    recorded = []
    model = Paper()
    model.conv.register_forward_hook(lambda _module, _given, output: recorded.append(output.requires_grad))
    capture(model)
    assert recorded == [False, False]  # once to record the calls, once to capture


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_contexts_outside(context):
    model = Paper(nn.Softmax(-1), between=nn.ReLU(inplace=True))
    expected = seewhy.Explainer(model, layer="conv").heatmaps(IMAGE, [0, 1]).values
    with context():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        heatmaps = seewhy.Explainer(model, layer="conv").heatmaps(torch.tensor(IMAGE), [0, 1])
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    np.testing.assert_array_equal(heatmaps.values, expected)
    assert expected.max() > 0


class CachesScales(Paper):
    """Scales its input by what it computed in its first run, as a YOLO does with the places of its candidates."""

    def __init__(self, *, is_buffer):
        super().__init__()
        self.scales, self.is_buffer = None, is_buffer

    def forward(self, image):
        if self.scales is None:
            del self.scales
            scales = torch.ones(1, *image.shape[1:]) * 2
            self.register_buffer("scales", scales) if self.is_buffer else setattr(self, "scales", scales)
        scaled = self.conv.weight.sum() * self.scales  # the product is saved for the backward pass
        return super().forward(image + 0 * scaled)


@pytest.mark.parametrize("is_buffer", [False, True])
def test_what_a_model_cached_in_inference_mode_is_no_obstacle(is_buffer):
    model = CachesScales(is_buffer=is_buffer)
    with torch.inference_mode():
        model(torch.tensor(IMAGE))
    cached = model.scales
    heatmaps = seewhy.Explainer(model, "saliency").heatmaps(IMAGE, [0, 1])
    expected = seewhy.Explainer(Paper(), "saliency").heatmaps(IMAGE, [0, 1])
    np.testing.assert_allclose(heatmaps.values, expected.values, rtol=1e-6)
    assert model.scales is cached
    assert cached.is_inference()


@pytest.mark.parametrize("context", [torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("method", ["gradcam", "scorecam", "saliency", "occlusion"])
def test_the_gradient_mode_is_kept(context, method):
    with context():
        before = torch.is_grad_enabled()
        seewhy.Explainer(resnet(), method).heatmaps(random(1, 3, 16, 16), [0])
        assert torch.is_grad_enabled() == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_give_float32_heatmaps_near_the_full_ones(dtype):
    model, inputs = resnet(), random(2, 3, 16, 16)
    full = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2]).values
    narrow = seewhy.Explainer(model.to(dtype)).heatmaps(inputs, [0, 1, 2])
    assert narrow.values.dtype == np.float32
    np.testing.assert_allclose(narrow.values, full, atol=0.05 * full.max())


def in_bfloat16(model, inputs):
    explainer = seewhy.Explainer(model, "hirescam", "0", signed=True, precision="bfloat16")
    return explainer.heatmaps(inputs, [0, 1])


def test_bfloat16_forgets_a_little_more_than_one():
    """The paper model, forwards and backwards: the input and the weights are a 512th too large for what is found."""
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(8, 2))
    convolution, _, dense = model
    a_little_more = np.float32(1 + 2**-9)
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        convolution.bias.copy_(torch.tensor([0.0, 3.0]))
        dense.weight.copy_(torch.tensor(a_little_more * np.moveaxis(PAPER_GRADIENTS, -1, 1).reshape(2, 8)))
        dense.bias.zero_()
    inputs = a_little_more * np.moveaxis(PAPER_INPUT, -1, 1)
    before = state(model)
    found = in_bfloat16(model, inputs)
    np.testing.assert_array_equal(found.values[0], (PAPER_GRADIENTS * PAPER_ACTIVATIONS).sum(axis=-1))
    np.testing.assert_array_equal(found.scores, PAPER_LOGITS[None])
    assert state(model) == before
    assert not torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu", dtype=torch.float16):  # the caller's own is another
        np.testing.assert_array_equal(in_bfloat16(model, inputs).values, found.values)
        assert torch.get_autocast_dtype("cpu") == torch.float16
    model.double()
    with pytest.raises(OptionError, match=r"is for models that run in float32; this one runs in float64. Leave it"):
        in_bfloat16(model, inputs)


def test_autocast_outside_is_the_model_s_alone():
    """The model runs as the caller says; the heatmap is worked out in full precision, though einsum would not be."""
    model, inputs = resnet(), random(2, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        captured = capture(model, "auto", Class((0, 1, 2)), inputs)
        heatmaps = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2]).values
        assert torch.is_autocast_enabled("cpu")
    weights = captured.gradients.numpy().mean(axis=(2, 3))
    expected = np.maximum(np.einsum("ntk,nuvk->ntuv", weights, captured.activations.numpy()), 0)
    np.testing.assert_allclose(heatmaps, expected, rtol=1e-5, atol=1e-7)
    full = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2]).values
    np.testing.assert_allclose(heatmaps, full, atol=0.05 * full.max())
    assert np.abs(heatmaps - full).max() > 0


def test_channels_last_is_a_matter_of_memory_alone():
    model, inputs = resnet(), random(2, 3, 16, 16)
    expected = seewhy.Explainer(model).heatmaps(inputs, [0, 1, 2]).values
    found = seewhy.Explainer(model.to(memory_format=torch.channels_last)).heatmaps(inputs, [0, 1, 2]).values
    np.testing.assert_allclose(found, expected, atol=1e-6)


def wrapped_part():
    model = resnet()
    model.layer4 = torch.compile(model.layer4, backend="eager")
    return model


WRAPPED = {
    "DataParallel": lambda: nn.DataParallel(resnet()),
    "compiled": lambda: torch.compile(resnet(), backend="eager"),
    "compiled, in DataParallel": lambda: nn.DataParallel(torch.compile(resnet(), backend="eager")),
    "a compiled part": wrapped_part,
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_wrapped_models_have_the_paths_and_maps_of_what_is_in_them(wrapping):
    inputs = random(2, 3, 16, 16)
    bare = resnet()
    expected = seewhy.Explainer(bare).heatmaps(inputs, [0, 1, 2])
    model = WRAPPED[wrapping]()
    within = framework_for(model)._model
    within.load_state_dict(dict(zip(within.state_dict(), bare.state_dict().values(), strict=True)))
    with torch.no_grad():
        model(torch.tensor(inputs))  # now there is compiled code that knows of no hook
    found = seewhy.Explainer(model, layer="layer4.1").heatmaps(inputs, [0, 1, 2])
    assert seewhy.Explainer(model).heatmaps(inputs).layer == found.layer == "layer4.1"
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)


class InAMode(nn.Module):
    """The layer inside a mode of the model's own that observes every function, too."""

    def __init__(self):
        super().__init__()
        self.paper = Paper()

    def forward(self, images):
        with torch.device("cpu"):
            maps = self.paper.conv(images)
        return self.paper.dense(maps.flatten(1)).softmax(1)


def test_a_mode_that_the_model_opens_before_the_layer_and_closes_after_it_is_not_in_the_way():
    found = seewhy.Explainer(InAMode(), layer="paper.conv").heatmaps(IMAGE, [0, 1])
    expected = seewhy.Explainer(Paper(nn.Softmax(1)), layer="conv").heatmaps(IMAGE, [0, 1])
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)  # logits: the softmax was seen
    assert torch.overrides._get_current_function_mode_stack() == []


@pytest.mark.parametrize("ending", [nn.Identity(), nn.Softmax(1)])
def test_compiled_code_that_ends_a_model_leaves_gradients_on(ending):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(400, 3)))
    inputs = random(1, 3, 14, 14)
    expected = seewhy.Explainer(nn.Sequential(model, ending), layer="0.1.0").heatmaps(inputs, [0])
    model[1] = torch.compile(model[1], backend="eager")
    with torch.no_grad():
        model(torch.tensor(inputs))
    found = seewhy.Explainer(nn.Sequential(model, ending), layer="0.1.0").heatmaps(inputs, [0])
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    assert (torch.ones(1, requires_grad=True) * 2).requires_grad


class TwiceTheImage(Paper):
    """Differentiates something of its own before the layer: the slope of a square is twice the number."""

    def forward(self, image):
        return super().forward(torch.func.grad(lambda each: (each**2).sum())(image))


def test_a_model_may_differentiate_before_the_layer():
    found = seewhy.Explainer(TwiceTheImage(), layer="conv").heatmaps(IMAGE, [0, 1])
    expected = seewhy.Explainer(Paper(), layer="conv").heatmaps(2 * IMAGE, [0, 1])
    np.testing.assert_allclose(found.values, expected.values, atol=1e-6)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


# The model is unchanged


class Counts(nn.Module):
    """Writes to its buffers even in evaluation mode, in place and by replacing them."""

    def __init__(self):
        super().__init__()
        self.register_buffer("highest", torch.zeros(()))
        self.register_buffer("runs", torch.zeros(()))

    def forward(self, x):
        self.highest.copy_(x.detach().amax())
        self.runs = self.runs + 1
        return x


def failing(_):
    raise RuntimeError("the caller's own mistake")


@pytest.mark.filterwarnings("ignore:.* bypasses the layer 'layer3.0.conv1'")
@pytest.mark.parametrize("layer", ["auto", "layer3.0.conv1"])
def test_the_model_is_afterwards_what_it_was(layer):
    model, inputs = resnet(), random(2, 3, 16, 16)
    model.avgpool = nn.Sequential(Counts(), model.avgpool)
    model.train()
    model.layer3.eval()
    model.layer3[1].bn1.train()
    model.fc.bias.requires_grad_(False)
    model.layer4[1].register_forward_hook(lambda *_: None)
    model(torch.tensor(inputs)).sum().backward()
    explainer, before = seewhy.Explainer(model, layer=layer), state(model)
    first = explainer.heatmaps(inputs, "top-2")
    assert state(model) == before
    with pytest.raises(RuntimeError, match="the caller's own mistake"):
        explainer.heatmaps(inputs, failing)
    with pytest.raises(TargetError, match="There is no class 5"):
        explainer.heatmaps(inputs, 5)
    with pytest.raises(ModelRunError, match=r"cannot run on an input of shape \(2, 2, 16, 16\): .*expected input"):
        explainer.heatmaps(inputs[:, :2])
    assert state(model) == before
    np.testing.assert_array_equal(
        first.values, seewhy.Explainer(model.eval(), layer=layer).heatmaps(inputs, "top-2").values
    )


class Scribbles(nn.Module):
    """Writes to buffers of every kind: several types and shapes, none, sparse, turned, a part of another."""

    def __init__(self):
        super().__init__()
        self.register_buffer("floats", torch.arange(6.0).reshape(2, 3))
        self.register_buffer("turned", torch.arange(6.0).reshape(2, 3).T)
        self.register_buffer("whole", torch.tensor(3))
        self.register_buffer("short", torch.tensor([1.5, 2.5], dtype=torch.float16))
        self.register_buffer("is_odd", torch.tensor([True, False]))
        self.register_buffer("empty", torch.zeros(0, 4))
        self.register_buffer("part", torch.arange(8.0)[::2])
        self.register_buffer("sparse", torch.eye(3).to_sparse())
        self.register_buffer("absent", None)

    def forward(self, x):
        for name, buffer in self.named_buffers():
            (buffer.logical_not_ if name == "is_odd" else lambda each=buffer: each.mul_(-7))()
        return x


def test_buffers_of_every_kind_have_their_values_again():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), Scribbles(), nn.Flatten(), nn.Linear(8, 2))
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    seewhy.Explainer(model, layer="0").heatmaps(IMAGE, 0)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer.to_dense(), before[name].to_dense()), name
    model(torch.tensor(IMAGE))
    assert not torch.equal(model[1].part, before["1.part"])


def test_the_output_of_the_user_s_own_hook_is_what_is_explained():
    model = Paper()
    model.conv.register_forward_hook(lambda _module, _given, output: output * 2)
    captured = capture(model)
    np.testing.assert_array_equal(captured.activations, 2 * PAPER_ACTIVATIONS[None])
    np.testing.assert_allclose(captured.scores, 2 * PAPER_LOGITS[None])


def test_training_goes_on_and_later_explanations_see_the_new_weights():
    model = Paper()
    explainer = seewhy.Explainer(model, layer="conv")
    first = explainer.heatmaps(IMAGE, 0).values
    with torch.no_grad():
        model.dense.weight.mul_(2)
    np.testing.assert_allclose(explainer.heatmaps(IMAGE, 0).values, 2 * first)


# Threads and memory


def test_threads_share_an_explainer_of_a_model_in_training_mode():
    model = resnet()
    model.layer3.train()
    before = state(model)
    selected = [(random(2, 3, size, 16), targets) for targets in ("top-1", [0, 2], "top-3", 2) for size in (16, 12)] * 3
    alone = [seewhy.Explainer(model).heatmaps(*case).values for case in selected]
    shared, barrier = seewhy.Explainer(model), threading.Barrier(8)
    waiting = threading.Semaphore(8)

    def explain(case):
        if waiting.acquire(blocking=False):
            barrier.wait(timeout=60)
        return shared.heatmaps(*case).values

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(explain, selected))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert state(model) == before


def test_another_thread_may_use_the_model_meanwhile():
    """The tap observes its own thread only: a prediction that runs while it is open does not disturb it."""
    is_open, predicted = threading.Event(), threading.Event()

    def hold(*_):
        if threading.current_thread() is threading.main_thread():
            is_open.set()
            assert predicted.wait(timeout=60)

    model = Shared()
    model.shared.register_forward_pre_hook(hold)

    def predict():
        assert is_open.wait(timeout=60)
        found = model(torch.tensor(IMAGE))
        predicted.set()
        return found

    with ThreadPoolExecutor(1) as thread:
        prediction = thread.submit(predict)
        captured = capture(model, "shared", Class((0,)))
        assert prediction.result().requires_grad
    np.testing.assert_array_equal(captured.activations, 4 * PAPER_INPUT)
    np.testing.assert_array_equal(captured.scores, prediction.result().detach())


def test_memory_does_not_grow_with_functions():
    """A new function in every call; tests/contracts has the same with classes.

    The smallest tensor is as large as the inputs: 1,024 bytes.
    """
    explainer, inputs = seewhy.Explainer(Paper(), layer="conv"), IMAGE.repeat(64, axis=0)

    def explain(_):
        explainer.heatmaps(inputs, lambda logits: logits[:, :2])

    assert not memory.leaks(explain, bytes_per_call=1024, objects_per_call=1)


# What goes in and comes out


class Combined(Paper):
    """Two inputs; two outputs in a dict, a mapping or a tuple."""

    def __init__(self, gather):
        super().__init__(nn.Softmax(-1))
        self.gather = gather

    def forward(self, one, two):
        return self.gather(super().forward(one + two), torch.flatten(one - two, 1))


GATHERED = {
    "tuple": (lambda answer, pixels: (answer, pixels), 0, 1),
    "dict": (lambda answer, pixels: {"answer": answer, "pixels": pixels}, "answer", "pixels"),
    "mapping": (lambda answer, pixels: UserDict(answer=answer, pixels=pixels), "answer", "pixels"),
}


@pytest.mark.parametrize("structure", GATHERED)
def test_several_inputs_and_outputs(structure):
    gather, answer, pixels = GATHERED[structure]
    one, two = IMAGE * 0.75, IMAGE * 0.25
    for inputs in ([one, two], (torch.tensor(one), two), {"two": two, "one": one}):
        heatmaps = seewhy.Explainer(Combined(gather), layer="conv", output=answer).heatmaps(inputs, [0, 1])
        np.testing.assert_allclose(heatmaps.values, PAPER_GRADCAM[None], atol=1e-6)
    with pytest.raises(
        ModelError, match=rf"has 2 outputs, and none was named. .* output=...: {answer!r}, {pixels!r}\."
    ):
        seewhy.Explainer(Combined(gather), layer="conv").heatmaps([one, two])
    with pytest.raises(NoGradientError, match="'conv'"):
        seewhy.Explainer(Combined(gather), layer="conv", output=pixels).heatmaps([one, two])


def test_tensors_of_any_kind_are_inputs():
    explainer = seewhy.Explainer(Paper(), layer="conv")
    expected = explainer.heatmaps(IMAGE, [0, 1]).values
    for inputs in (torch.tensor(IMAGE).requires_grad_(), torch.tensor(IMAGE).bfloat16(), torch.tensor(IMAGE).int()):
        np.testing.assert_array_equal(explainer.heatmaps(inputs, [0, 1]).values, expected)
    with pytest.raises(InputError, match="NaN or infinite values, in image 0 of the batch"):
        explainer.heatmaps(torch.tensor(IMAGE) * float("nan"))
    with pytest.raises(InputError, match="The model has 1 input; given 2 arrays"):
        explainer.heatmaps([IMAGE, IMAGE.repeat(2, axis=0)])


def test_objects_that_are_no_model():
    with pytest.raises(ModelError, match=r"Cannot explain .*: expected a keras.Model \(Keras 3\) or a torch.nn.Module"):
        seewhy.Explainer(torch.zeros(1))
    with pytest.raises(ModelError, match="The model LazyLinear has no weights yet: call it on an input"):
        seewhy.Explainer(nn.LazyLinear(3))
    with pytest.raises(ModelError, match="The model returned a str; expected a tensor, or a list or dict of them"):
        capture(Paper(Call(str)))


def test_damaged_weights_are_an_error_and_give_no_map():
    model = Paper()
    nn.init.constant_(model.dense.weight, float("nan"))
    with pytest.raises(ModelRunError, match="The model gave NaN or infinite values for image 0 of the batch"):
        seewhy.Explainer(model, layer="conv").heatmaps(IMAGE, 0)


def test_a_layer_that_is_called_only_for_some_inputs():
    class Moody(Paper):
        def forward(self, image):
            maps = self.conv(image) if image.sum() > 0 else image.expand(-1, 2, -1, -1)
            return self.dense(maps.flatten(1))

    explainer = seewhy.Explainer(Moody(), layer="conv")
    explainer.heatmaps(IMAGE)
    with pytest.raises(LayerError, match="'conv' was called in an earlier run but not in this one"):
        explainer.heatmaps(-IMAGE)


@pytest.mark.parametrize("failure", [KeyError("mask"), AttributeError("mask"), ZeroDivisionError("mask")])
def test_errors_of_the_model_in_python(failure):
    class Failing(torch.nn.Conv2d):
        def forward(self, x):
            raise failure

    model = torch.nn.Sequential(Failing(1, 1, 1))
    with pytest.raises(ModelRunError, match=r"cannot run on an input of shape \(1, 1, 2, 2\): .*mask") as caught:
        seewhy.Explainer(model).heatmaps(np.ones((1, 1, 2, 2), np.float32), 0)
    assert caught.value.__cause__ is failure


def test_the_name_of_a_shared_module_includes_the_number_of_the_call():
    relu = torch.nn.ReLU()
    model = torch.nn.Sequential(relu, torch.nn.Conv2d(1, 1, 1), relu, torch.nn.Flatten(), torch.nn.Linear(4, 2))
    named = [
        seewhy.Explainer(model, layer=layer).heatmaps(np.ones((1, 1, 2, 2), np.float32), 0).layer
        for layer in ("0", "0#2")
    ]
    assert named == ["0", "0#2"]


class ReadsTheInput(Paper):
    """Turns its input into NumPy, which a tensor whose gradients are recorded refuses; or fails in any case."""

    fails = False

    def forward(self, image):
        image.numpy()
        return failing(image) if self.fails else super().forward(image)


def test_a_failure_of_the_model_is_not_taken_for_an_input_that_cannot_be_differentiated():
    model = ReadsTheInput()
    framework = framework_for(model)
    assert framework.carrying_calls(IMAGE, Objective(BOTH)) is None
    model.fails = True
    with pytest.raises(ModelRunError):
        framework.carrying_calls(IMAGE, Objective(BOTH))


def test_activations_of_another_shape_do_not_replace_a_layer_s_output():
    framework = framework_for(Paper())
    activations = np.ones((1, 1, 1, 2), np.float32)
    with pytest.raises(LayerError, match=r"output of shape \(1, 2, 2, 2\), .* has shape \(1, 2, 1, 1\)"):
        framework.clamp(IMAGE, framework.find_layer("conv"), Objective(BOTH), activations)
