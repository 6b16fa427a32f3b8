"""The reference model as an ONNX model: that of `in_torch`, exported.

A value that a module of it computes last has the module's path as its name, so that layers are called alike. What is no
ONNX model, because it is a class of Python's or has a state, skips the test.
"""

import io
import re
import warnings

import onnx
import pytest
import torch
from tests.contracts import attention_reference, in_torch, reference

NAME = "onnx"

given, path = in_torch.given, in_torch.path
path_of_block = in_torch.path_of_block

last_right_layer = "features"


def exported(model, *shapes, names=("image",), outputs=("output",), open_axes=(), images=None):
    """Export a module that takes arrays of these shapes, without their first axis, in batches of any or of one size."""
    file = io.BytesIO()
    inputs = tuple(torch.rand(images or 2, *shape, dtype=first_type(model)) for shape in shapes)
    torch.backends.mha.set_fastpath_enabled(False)  # its operator cannot be exported
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter that works without onnxscript is deprecated
        torch.onnx.export(
            model.eval(),
            inputs,
            file,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_axes={
                name: {**({} if images else {0: "images"}), **{axis: f"size {axis}" for axis in open_axes}}
                for name in names
            },
            opset_version=17,
            dynamo=False,
        )
    torch.backends.mha.set_fastpath_enabled(True)
    return named_by_module(onnx.load_from_string(file.getvalue()))


def first_type(model):
    return next((parameter.dtype for parameter in model.parameters()), torch.float32)


def named_by_module(model):
    """Give the last value that a module computes the path of the module."""
    last = {}
    for node in model.graph.node:
        for value in node.output:
            scopes = [each for each in value.split("/")[1:-1] if each]
            for depth in range(1, len(scopes) + 1):
                # The exporter writes /outer/outer.inner, and the tests outer.inner.
                last[scopes[depth - 1] if "." in scopes[depth - 1] else ".".join(scopes[:depth])] = value
    names = {}
    for module, value in last.items():  # the base in a base is called by the module inside, and else by the outermost
        if value not in names or module.endswith(".features"):
            names[value] = module
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    return model


def plain(size=reference.SIZE, ending="argument", classes=reference.CLASSES, scale=1.0):
    return exported(in_torch.plain(size, ending, classes, scale), (3, *size))


def sigmoids(classes):
    return exported(in_torch.sigmoids(classes), (3, *reference.SIZE))


def negative():
    return exported(in_torch.negative(), (3, *reference.SIZE))


def damaged():
    return exported(in_torch.damaged(), (3, *reference.SIZE))


def nested(depth=1):
    return exported(in_torch.nested(depth), (3, *reference.SIZE))


def several(structure):
    if structure is not dict:
        pytest.skip("the outputs of an ONNX model have names")
    return exported(
        in_torch.several(structure), *[(3, *reference.SIZE)] * 2, names=("one", "two"), outputs=("answer", "pixels")
    )


def reading(what, classes, ending="argument"):
    is_open = what != "all"
    return exported(in_torch.reading(what, classes, ending), (3, *reference.SIZE), open_axes=(2, 3) if is_open else ())


def brightness(step, size, is_layer=False):
    return exported(in_torch.brightness(step, size, is_layer), (3, *size))


def mixing(how, where):
    if how == "batch statistics" or where == "head":
        pytest.skip("no gradient of an ONNX model is computed along the axis of the images")
    return exported(in_torch.mixing(how, where), (3, *reference.SIZE))


def class_token(depth=2, size=16, tokens="first"):
    return exported(in_torch.class_token(depth, size, tokens), (3, *reference.SIZE))


def maximum_pooled():
    return exported(in_torch.maximum_pooled(), (3, *reference.SIZE))


def mapped(is_flat=False):
    return exported(in_torch.mapped(is_flat), (3, *reference.SIZE))


def sequence_first():
    return exported(in_torch.sequence_first(), (3, *reference.SIZE))


def misread(how):
    if how == "mirrored":
        pytest.skip("what a module computes before it mirrors is a layer of its own")
    return exported(in_torch.misread(how), (3, *reference.SIZE))


def bypassed(how):
    return exported(in_torch.bypassed(how), (3, *reference.SIZE))


def mixed_tokens():
    return exported(in_torch.mixed_tokens(), (3, *reference.SIZE))


def in_type(name, scale=1.0):
    if name == "bfloat16":
        pytest.skip("NumPy has no bfloat16")
    return exported(in_torch.in_type(name, scale), (3, *reference.SIZE))


def transformer(*arguments, **options):
    return exported(in_torch.transformer(*arguments, **options), (3, *attention_reference.SIZE))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    pytest.skip(f"no ONNX model: {re.sub('_', ' ', name)}")
