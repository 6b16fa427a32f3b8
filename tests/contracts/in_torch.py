"""The reference model in native PyTorch, channels first; `in_keras` has the same functions."""

import numpy as np
import torch
from tests.contracts import reference
from tests.contracts.transformer_in_torch import transformer
from torch import nn
from torch.nn import functional

__all__ = ["transformer"]

NAME = "torch"

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Features(nn.Module):
    """A convolution and its ReLU in one, as Keras has them."""

    def __init__(self, given, planes, padding, rank):
        super().__init__()
        self.convolution = CONVOLUTIONS[rank](given, planes, 3, padding=padding)

    def forward(self, x):
        return functional.relu(self.convolution(x))


ENDINGS = {
    "argument": nn.Softmax(-1),
    "layer": nn.Sequential(nn.Softmax(-1)),
    "function": Call(lambda x: torch.softmax(x, dim=1)),
    "log-softmax": nn.LogSoftmax(-1),
    "none": nn.Identity(),
}
"""Ways to make class probabilities, or not, of logits."""


def given(inputs):
    """Return inputs (N, *space, K) as this framework's models take them."""
    return np.ascontiguousarray(np.moveaxis(inputs, -1, 1))


def path(*names):
    """Return the path of a layer in a layer in a layer."""
    return ".".join(names)


class Model(nn.Module):
    """The reference model; `between` follows the maps and `ending` the logits. One layer of it is never called."""

    is_broken = False

    def __init__(self, size=reference.SIZE, classes=reference.CLASSES, ending=None, between=None):
        super().__init__()
        rank = len(size)
        self.first = Features(3, 8, 1, rank)
        self.features = Features(8, 6, 0, rank)
        self.between = between or nn.Identity()
        self.dense = nn.Linear(int(np.prod([each - 2 for each in size])) * 6, classes)
        self.ending = ending or nn.Identity()
        self.spare = nn.Conv2d(3, 2, 1)

    def logits(self, image):
        return self.dense(torch.flatten(self.between(self.features(self.first(image))), 1))

    def forward(self, image):
        logits = self.logits(image)
        if self.is_broken:
            raise ValueError("broken on purpose")
        return self.ending(logits)


def weighted(model, size=reference.SIZE, classes=reference.CLASSES, scale=1.0):
    """Give a model the reference's weights, channels first; the dense layer's times `scale`."""
    kernels, biases = reference.weights(size, classes)
    maps = [each - 2 for each in size]
    dense = np.moveaxis(kernels["dense"].reshape(*maps, 6, classes), -2, 0).reshape(-1, classes)
    modules = {name.rsplit(".", 1)[-1]: module for name, module in model.named_modules()}
    with torch.no_grad():
        for name in ("first", "features"):
            modules[name].convolution.weight.copy_(torch.tensor(np.moveaxis(kernels[name], (-1, -2), (0, 1))))
            modules[name].convolution.bias.copy_(torch.tensor(biases[name]))
        modules["dense"].weight.copy_(torch.tensor(scale * dense.T))
        modules["dense"].bias.copy_(torch.tensor(scale * biases["dense"]))
    return model


def plain(size=reference.SIZE, ending="argument", classes=reference.CLASSES, scale=1.0):
    return weighted(Model(size, classes, ENDINGS[ending]), size, classes, scale)


def sigmoids(classes):
    """Build it with a sigmoid for each class; of one class, with a single unit."""
    return weighted(Model(classes=classes, ending=nn.Sigmoid()), classes=classes)


def negative():
    """Build it so that every gradient is negative: nothing speaks for any class."""
    model = plain()
    with torch.no_grad():
        model.dense.weight.copy_(-model.dense.weight.abs())
    return model


def damaged():
    """Build it with weights that are no numbers."""
    model = plain()
    nn.init.constant_(model.dense.weight, float("nan"))
    return model


def cut_off():
    """Build it so that no gradient reaches the maps."""
    return weighted(Model(between=Call(torch.detach)))


def subclassed():
    return weighted(Model())


def says_what():
    """Build it to return words beside its logits."""
    return weighted(Model(ending=Call(lambda logits: {"logits": logits, "unit": "metre"})))


def unbuilt():
    """Return a model that has no weights yet, and its name."""
    return nn.Sequential(nn.LazyLinear(3)), "Sequential"


def nested(depth=1):
    """Build it with its convolutions in a base; with a depth of 2, in a base in a base."""
    whole = Model()
    base = nn.Sequential()
    base.add_module("first", whole.first)
    base.add_module("features", whole.features)
    name = "base"
    for level in range(depth - 1):
        outer = nn.Sequential()
        outer.add_module(name, base)
        base, name = outer, f"outer{level or ''}"
    model = nn.Sequential()
    model.add_module(name, base)
    model.add_module("flatten", nn.Flatten())
    model.add_module("dense", whole.dense)
    return weighted(model)


def of_the_same_name():
    """Build it with two layers called "features"."""
    model = nn.Sequential()
    for side, layer in (("left", nn.Conv2d(3, 3, 1)), ("right", nn.Conv2d(3, 6, 3))):
        part = nn.Sequential()
        part.add_module("features", layer)
        model.add_module(side, part)
    return model.append(nn.Flatten())


class Siamese(Model):
    def forward(self, one, two):
        return self.logits(one) + self.logits(two)


def siamese():
    """Build it to run twice, on images "one" and "two": its logits are the sum of both."""
    return weighted(Siamese())


class Combined(Model):
    def __init__(self, structure):
        super().__init__()
        self.structure = structure

    def forward(self, one, two):
        answer, pixels = self.logits(one + two), torch.flatten(one - two, 1)
        if self.structure is dict:
            return {"answer": answer, "pixels": pixels}
        return self.structure([answer, pixels])


def several(structure):
    """Build it to take the sum of two inputs, "one" and "two", and to give the logits and the inputs' difference.

    Inputs and outputs are in a list, a tuple or a dict, the outputs of which are "answer" and "pixels".
    """
    return weighted(Combined(structure))


def trained_further(model, scale):
    """Change the weights of a model's last layer."""
    with torch.no_grad():
        model.dense.weight.mul_(scale)
        model.dense.bias.mul_(scale)


def predict(model, inputs):
    """Run a model into NumPy."""
    with torch.no_grad():
        return model(torch.tensor(inputs)).numpy()


def state(model):
    """Everything about a model that a call could have changed."""
    return {
        "parameters": [(id(each), each.detach().numpy().tobytes()) for each in model.parameters()],
        "requires_grad": [each.requires_grad for each in model.parameters()],
        "grad": [
            None if each.grad is None else (id(each.grad), each.grad.numpy().tobytes()) for each in model.parameters()
        ],
        "buffers": [(id(each), each.numpy().tobytes()) for each in model.buffers()],
        "modes": [each.training for each in model.modules()],
        "hooks": [{n: list(v) for n, v in vars(each).items() if "hooks" in n and v} for each in model.modules()],
        "attributes": [{n: id(v) for n, v in vars(each).items()} for each in model.modules()],
    }


READINGS = {
    "mean": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "mean, axes kept": Call(lambda x: x.mean((-1, -2), keepdim=True).flatten(1)),
    "mean, as a function": Call(lambda x: x.mean((2, 3))),
    "mean, dropped out": nn.Sequential(nn.Dropout2d(), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Dropout()),
    "mean, bent": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(16), nn.GELU()),
    "all": nn.Flatten(),
    "maximum": nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
    "mean of squares": Call(lambda x: (x * x).mean((2, 3))),
    "mean of rows": Call(lambda x: x.mean(2).flatten(1)),
    "mean over the batch too": Call(lambda x: x.mean((2, 3)) + x.mean((0, 2, 3))),
    "mean and one more": Call(lambda x: torch.cat([x.mean((2, 3)), x[:, :, 0, 0]], 1)),
    "mean and maximum": Call(lambda x: x.mean((2, 3)) + x.amax((2, 3))),
}
"""What may stand between the maps and the dense layer."""


def reading(what, classes, ending="argument"):
    """Build a model whose head reads the maps in one of these ways; its weights are random."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True)))
    model.add_module("reading", READINGS[what])
    model.add_module("dense", nn.LazyLinear(classes))
    model.add_module("ending", ENDINGS[ending])
    model(torch.zeros(1, 3, *reference.SIZE))
    return model


def standardize(x):
    """Give every image the mean 0 and the standard deviation 1."""
    return (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 1e-5)


def resize(x, size):
    return functional.interpolate(x, size, mode="bilinear")


def pad(x, rows, columns):
    return functional.pad(x, (columns, columns, rows, rows))


STEPS = {
    "nothing": lambda x: x,
    "scale": lambda x: x / 127.5,
    "swap channels": lambda x: x[:, [2, 1, 0]],
    "crop": lambda x: x[:, :, 4:28, 10:34],
    "scale and crop": lambda x: (x / 127.5)[:, :, 4:28, 10:34],
    "standardize and crop": lambda x: standardize(x)[:, :, 4:28, 10:34] + 1,
    "shrink": lambda x: resize(x, (16, 24)),
    "crop and enlarge": lambda x: resize(x[:, :, 8:24, 8:40], (32, 64)),
    "pad": lambda x: pad(x, 8, 12),
    "letterbox": lambda x: pad(resize(x, (24, 36)), 6, 0),
    "pad for a convolution": lambda x: pad(x, 2, 2),
    "mirror": lambda x: x.flip(3),
    "transpose": lambda x: x.transpose(2, 3),
}
"""What a model may do to its input before the first convolution."""


def brightness(step, _size, is_layer=False):
    """Build a model whose score is the brightness of what `step` leaves of an image; `is_layer` names its input."""
    model = nn.Sequential()
    if is_layer:
        model.add_module("before", nn.ReLU())
    model.add_module("step", Call(STEPS[step]))
    model.add_module("features", nn.Conv2d(3, 2, 5 if step == "pad for a convolution" else 1, bias=False))
    model.add_module("mean", READINGS["mean"])
    model.add_module("score", nn.Linear(2, 1))
    for weights in (model.features.weight, model.score.weight):
        nn.init.ones_(weights)
    nn.init.zeros_(model.score.bias)
    return model


def attended(x):
    """Return each image's maps as a mixture of those of all images, by their similarity."""
    flat = x.flatten(1)
    return (torch.softmax(flat @ flat.T / 100, 1) @ flat).reshape(x.shape)


MIXINGS = {
    "batch statistics": lambda x: functional.batch_norm(x, None, None, training=True, eps=1e-3),
    "moments": lambda x: (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True, unbiased=False),
    "mean": lambda x: x + 0.5 * x.mean(0, keepdim=True),
    "attention": attended,
    "those before": lambda x: x.cumsum(0),
    "those after": lambda x: x.flip(0).cumsum(0).flip(0),
}
"""Ways in which the images of a batch influence each other."""


def mixing(how, where):
    """Build it so that images influence each other before the maps, in the "trunk", or after them, in the "head"."""
    model = weighted(Model(between=Call(MIXINGS[how]) if where == "head" else None))
    if where == "trunk":
        model.first = nn.Sequential(model.first, Call(MIXINGS[how]))
    return model


class ClassToken(nn.Module):
    """A small transformer whose class token alone is read; or whose "mean" of all tokens is."""

    def __init__(self, depth, size, tokens):
        super().__init__()
        self.patches = nn.Conv2d(3, size, 3, 3)
        self.token = nn.Parameter(torch.randn(1, 1, size))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(size, 2, 2 * size, batch_first=True, norm_first=True) for _ in range(depth)
        )
        self.norm, self.dense = nn.LayerNorm(size), nn.Linear(size, reference.CLASSES)
        self.tokens = tokens

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.dense(x[:, 0] if self.tokens == "first" else x.mean(1))


def class_token(depth=2, size=16, tokens="first"):
    torch.manual_seed(0)
    return ClassToken(depth, size, tokens).eval()


def path_of_block(number):
    """Return the path of the output of a block of that transformer."""
    return f"blocks.{number}"


class Recurrent(nn.Module):
    """A network over columns, the last step of whose last recurrent layer is read."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.columns, self.steps, self.dense = nn.Linear(32, 32), nn.RNN(32, 6, batch_first=True), nn.Linear(6, 4)
        self.all_steps = nn.LayerNorm(6)

    def forward(self, image):
        columns = self.columns(self.features(image).relu().permute(0, 2, 3, 1).reshape(-1, 10, 32))
        return self.dense(self.all_steps(self.steps(columns)[0])[:, -1])


def recurrent():
    torch.manual_seed(0)
    return Recurrent()


def maximum_pooled():
    """Build a network that reads the maximum of each of two maps."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("features", nn.Conv2d(3, 2, 3))
    model.add_module("reading", nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()))
    model.add_module("dense", nn.Linear(2, reference.CLASSES))
    return model


def mapped(is_flat=False):
    """Build a network that gives a score for each class at each position, on demand as one vector."""
    torch.manual_seed(0)
    model = nn.Sequential()
    model.add_module("features", nn.Conv2d(3, 6, 3))
    model.add_module("scores", nn.Conv2d(6, 4, 1))
    return model.append(nn.Flatten()) if is_flat else model


def in_type(name, scale=1.0):
    """Build it in "float16" or "bfloat16", weights and all."""
    return plain(scale=scale).to(getattr(torch, name))


class SequenceFirst(nn.Module):
    """A network whose layer "norm" is given 4 tokens as (tokens, images, channels)."""

    def __init__(self):
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 6, (6, 5), (6, 5)), nn.LayerNorm(6)
        self.dense = nn.Linear(6, reference.CLASSES)

    def forward(self, image):
        return self.dense(self.norm(self.patches(image).flatten(2).permute(2, 0, 1)).mean(0))


def sequence_first():
    torch.manual_seed(0)
    return SequenceFirst()


AFTER = {"transposed": lambda x: x.transpose(2, 3), "cropped": lambda x: x[:, :, :5], "mirrored": lambda x: x}
"""What a model may do to its maps."""


last_right_layer = "features.1"
"""The last layer of `misread` with the axes of the image."""


def misread(how):
    """Build a network whose layer "late" has other axes than the image, or in which all layers have."""
    torch.manual_seed(0)
    kernel = torch.randn(6, 3, 3, 3)
    mirrored = Call(lambda x: functional.conv2d(x, kernel, padding=1).flip(2).relu())
    right = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU())
    parts = {
        "features": mirrored if how == "mirrored" else right,
        "between": Call(AFTER[how]),
        "late": nn.Conv2d(6, 6, 1),
        "flat": nn.Flatten(),
        "dense": nn.LazyLinear(reference.CLASSES),
    }
    model = nn.Sequential()
    for name, part in parts.items():
        model.add_module(name, part)
    model(torch.zeros(1, 3, *reference.SIZE))
    return model


class Bypassed(nn.Module):
    """A network of whose score much bypasses its last layer with positions, "branch"."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.value, self.auxiliary = nn.Conv2d(6, 6, 1), nn.Linear(6, 6)
        self.branch = nn.Conv2d(6, 1, 1) if how == "attention pooling" else nn.Conv2d(6, 6, 3, padding=1)
        self.dense = nn.Linear(6, reference.CLASSES)

    def forward(self, image):
        x = self.features(image).relu()
        if self.how == "attention pooling":
            value = self.value(x).flatten(2)
            return self.dense((value * torch.softmax(self.branch(x).flatten(2), -1)).sum(-1))
        return self.dense(self.branch(x).mean((2, 3)) + self.auxiliary(x.mean((2, 3))))


def bypassed(how):
    torch.manual_seed(0)
    model = Bypassed(how)
    if how == "attention pooling":
        nn.init.ones_(model.branch.weight)
    return model


class MixedTokens(nn.Module):
    """A network with a convolution along the 16 values of 12 tokens, as if they were positions."""

    def __init__(self):
        super().__init__()
        self.patches, self.mixed = nn.Conv2d(3, 16, 3, 3), nn.Conv1d(12, 8, 3, padding=1)
        self.dense = nn.Linear(8 * 16, reference.CLASSES)

    def forward(self, image):
        return self.dense(self.mixed(self.patches(image).flatten(2).transpose(1, 2)).flatten(1))


def mixed_tokens():
    torch.manual_seed(0)
    return MixedTokens()


def renamed(model):
    """Return a sequential model with other names of all its layers and of their classes."""
    other = nn.Sequential()
    for number, part in enumerate(model):
        part.__class__ = type("Thing", (type(part),), {})
        other.add_module(f"thing{number}", renamed(part) if isinstance(part, nn.Sequential) else part)
    return other
