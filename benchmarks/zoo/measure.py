"""What is found out about one model: whether it is explained, and whether the explanation is right.

* equal: the largest difference between the heatmap and Grad-CAM that is computed from plain hooks, as a share of the
  heatmap's maximum; of the default's other methods, from one that is computed apart.
* pos: the share of the layer's positions that have a gradient, of several inputs and classes.
* bypass: the share of the difference of scores between two inputs that remains if the layer keeps its values.
* grid: of five patches of the input that are overwritten in turn, how many change their own cell of the layer more than
  the other patches do.
"""

import hashlib
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from benchmarks.zoo.layers import plain_layer, scores_of
from benchmarks.zoo.written_apart import attention_heatmap, integrated_gradients
from PIL import Image

import seewhy
from seewhy.errors import SeewhyError

SEED = 0
CLASSES = 4
INPUTS = 3
ROUNDS, DRAWS = 7, 2
MOST_OTHERS = 8
EQUAL, FEW, BYPASSED, CELLS = 1e-4, 0.25, 0.1, 0.75
"""What is right: at most this difference, this share of positions, at most this bypass, and this share of cells."""

Row = dict[str, Any]


def measure(model: Any, size: tuple[int, int]) -> Row:
    """Explain an image with the defaults, and check what comes out.

    Args:
        model: In inference mode. Its weights are made less regular first: zeros and ones hide what a layer does.
        size: (h, w) of its input, in pixels.
    """
    make_irregular(model)
    classifier = seewhy.Classifier(model, preprocess=seewhy.Preprocessing(size, mean=127.5, std=63.0))
    first, *others = (_image(seed, size) for seed in range(INPUTS))
    image, inputs = first, classifier.preprocess([first]).values
    other_inputs = classifier.preprocess(others).values
    object.__setattr__(model, "zoo_inputs", inputs)
    calibrate(model, np.concatenate([inputs, other_inputs]))
    before = state(model)
    row: Row
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            explainer = seewhy.Explainer(classifier)
            (explanation,) = explainer.explain([image], targets=[0])
            target = 0 if explanation.method != "gradcam" else _with_evidence(explainer, inputs)
            if target:
                (explanation,) = explainer.explain([image], targets=[target])
        except SeewhyError as error:
            row = {"outcome": "refused", "words": f"{type(error).__name__}: {error}", "state": before == state(model)}
            return row | {"problems": problems(row)}
    row = {
        "outcome": "explained",
        "layer": explanation.layer,
        "method": explanation.method,
        "grid": list(explanation.heatmaps.shape[1:]),
        "warnings": [str(each.message) for each in caught if issubclass(each.category, seewhy.errors.SeewhyWarning)],
        "evidence": bool(explanation.heatmaps.max() > 0),
        "state": before == state(model),
    }
    row |= _checks(explainer, explanation, inputs, other_inputs, target)
    row["ratio"] = _ratio(explainer, inputs)
    row["problems"] = problems(row)
    return row


def problems(row: Row) -> list[str]:
    """Return what is wrong about an explanation; nothing is wrong about one that is refused."""
    if row["outcome"] != "explained":
        return [] if row.get("state", True) else ["the model was changed"]
    found = {
        "the model was changed": not row["state"],
        "not equal": (row["equal"] or 0) > EQUAL,
        "few positions": row["pos"] is not None and row["pos"] < FEW,
        "bypassed": (row["bypass"] or 0) > BYPASSED,
        "not the image's grid": row["cells"] is not None and row["cells"][0] < CELLS * row["cells"][1],
    }
    return [problem for problem, is_wrong in found.items() if is_wrong]


def _checks(explainer: Any, explanation: Any, inputs: Any, others: Any, target: int) -> Row:
    """Compare with plain hooks at the layer that was explained."""
    nothing: Row = {"equal": None, "pos": None, "bypass": None, "cells": None}
    if explanation.method in ("gradient_rollout", "legrad_rollout", "integrated_gradients"):
        return nothing | {"equal": _difference_apart(explainer.classifier.model, explanation, inputs)}
    path, number = _call(explanation.layer, explainer.framework)
    if path is None:
        return nothing
    layer = plain_layer(explainer.classifier.model, path, number)
    output, logits = layer.run(inputs)
    grid = explanation.heatmaps.shape[1:]
    if fold(output, grid) is None:
        return nothing
    expected = grad_cam(output, layer.gradients(inputs, output, [target])[0], grid)
    found = _grad_cam_of(explainer, explanation, inputs)
    scale = max(float(expected.max()), 1e-12)
    classes = np.linspace(0, logits.shape[1] - 1, CLASSES).astype(int).tolist()
    return {
        "equal": None if found is None else float(np.abs(found - expected).max()) / scale,
        "pos": _positions(layer, np.concatenate([inputs, others]), classes, grid),
        "bypass": _bypass(layer, output, logits, others),
        "cells": _cells(layer, inputs, output, grid),
    }


def _with_evidence(explainer: Any, inputs: Any) -> int:
    """Return the first class whose heatmap has positive values: zeros are equal whatever is wrong."""
    heatmaps = explainer.heatmaps(inputs, list(range(CLASSES))).values[0]
    return int(np.argmax(heatmaps.reshape(CLASSES, -1).max(axis=1) > 0))


def _difference_apart(model: Any, explanation: Any, inputs: Any) -> float | None:
    """Return the largest difference from a heatmap that was computed apart, both scaled to a maximum of 1."""
    heatmap = explanation.heatmaps[0]
    if explanation.method == "integrated_gradients":
        expected = integrated_gradients(model, inputs)
    else:
        expected = attention_heatmap(explanation.method, model, inputs, heatmap.shape)
    if expected is None:
        return None
    return float(np.abs(heatmap / max(heatmap.max(), 1e-30) - expected / max(expected.max(), 1e-30)).max())


def _grad_cam_of(explainer: Any, explanation: Any, inputs: Any) -> Any:
    """Return the heatmap that is compared with Grad-CAM: the one that was made, or Grad-CAM at the same layer."""
    if explanation.method == "gradcam":
        return explanation.heatmaps[0]
    return seewhy.Explainer(explainer.classifier, "gradcam", explanation.layer).heatmaps(inputs, 0).values[0, 0]


def grad_cam(output: Any, gradient: Any, grid: tuple[int, int]) -> Any:
    """Grad-CAM by its definition, on the positions of the image."""
    activations, gradients = fold(output, grid), fold(gradient, grid)
    return np.maximum((activations * gradients.mean(axis=(0, 1))).sum(axis=-1), 0)


def fold(output: Any, grid: tuple[int, int], row: int = 0) -> Any:
    """Return (u, v, K) of one image of a layer's output (N, ...); None where it does not have those positions.

    Where it has more tokens than positions, the others, such as a class token, come first.
    """
    values, positions = output[row], grid[0] * grid[1]
    if values.ndim == 3 and values.shape[1:] == tuple(grid):
        return np.moveaxis(values, 0, -1)
    if values.ndim == 3 and values.shape[:2] == tuple(grid):
        return values
    if values.ndim == 2 and 0 <= values.shape[0] - positions <= MOST_OTHERS:
        return values[values.shape[0] - positions :].reshape(*grid, -1)
    if values.ndim == 2 and values.shape[1] == positions:
        return values.T.reshape(*grid, -1)
    return None


def _positions(layer: Any, inputs: Any, classes: list[int], grid: tuple[int, int]) -> float:
    output, _ = layer.run(inputs)
    reached = np.zeros(grid, bool)
    for gradient in layer.gradients(inputs, output, classes):
        for row in range(len(inputs)):
            sizes = np.abs(fold(gradient, grid, row)).max(axis=-1)
            reached |= sizes > 1e-6 * max(float(np.abs(gradient[row]).max()), 1e-30)
    return float(reached.mean())


def _bypass(layer: Any, output: Any, kept: Any, others: Any) -> float:
    """Return what remains of the difference of scores if other images run with the layer's values of the first."""
    _, logits = layer.run(others)
    _, held = layer.run(others, np.repeat(output, len(others), axis=0))
    return float(np.abs(held - kept).sum()) / max(float(np.abs(logits - kept).sum()), 1e-12)


def _cells(layer: Any, inputs: Any, output: Any, grid: tuple[int, int]) -> tuple[int, int]:
    """Overwrite the four corners and the middle in turn, each a cell large, and count the cells that tell which it was.

    Positions at edges and of large values change more whatever is overwritten, so each cell is compared with itself:
    its share of the whole change has to be largest where it was overwritten itself.
    """
    rows, columns = grid
    every = [(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)]
    cells = list(dict.fromkeys(every))  # in small grids, the middle is a corner
    changed, _ = layer.run(np.concatenate([_overwritten(inputs, cell, grid) for cell in cells]))
    before, changes = fold(output, grid), []
    for first in range(0, len(changed), DRAWS):
        change = sum(np.abs(fold(changed, grid, first + row) - before).sum(axis=-1) for row in range(DRAWS))
        changes.append(change / max(float(np.sum(change)), 1e-30))
    shares = np.array([[_near(change, cell) for change in changes] for cell in cells])
    return int((shares.argmax(axis=1) == np.arange(len(cells))).sum()), len(cells)


def _overwritten(inputs: Any, cell: tuple[int, int], grid: tuple[int, int]) -> Any:
    """Return copies of the inputs with different colours in the place of a cell."""
    is_first = inputs.shape[1] == 3
    sides = inputs.shape[2:] if is_first else inputs.shape[1:3]
    area = tuple(
        slice(round(index * side / cells), max(round((index + 1) * side / cells), round(index * side / cells) + 1))
        for index, cells, side in zip(cell, grid, sides, strict=True)
    )
    copies = np.repeat(inputs, DRAWS, axis=0)
    for row in range(DRAWS):
        colour = np.random.default_rng(row).normal(0, 2, 3)
        if is_first:
            copies[(row, slice(None), *area)] = colour[:, None, None]
        else:
            copies[(row, *area)] = colour
    return copies


def _near(change: Any, cell: tuple[int, int]) -> float:
    """Return the sum of a change at a cell and, where there are many, at those around it."""
    reach = 0 if min(change.shape) < 5 else 1
    rows, columns = (slice(max(index - reach, 0), index + reach + 1) for index in cell)
    return float(change[rows, columns].sum())


def _image(seed: int, size: tuple[int, int]) -> Any:
    """Return an image (h, w, 3) of patches of colour with some noise: of noise alone, deep layers keep nothing."""
    generator = np.random.default_rng(seed)
    patches = Image.fromarray(generator.integers(0, 256, (6, 6, 3)).astype(np.uint8))
    smooth = np.asarray(patches.resize((size[1], size[0]), Image.Resampling.BICUBIC), np.float32)
    return np.clip(smooth + generator.normal(0, 10, smooth.shape), 0, 255).astype(np.uint8)


def _call(layer: str, framework: Any) -> tuple[Any, int | None]:
    """Return a layer object and the number of its call, from "path" or "path#2"; None if there is no such layer."""
    by_path = framework._model_layers.now().by_path
    if layer in by_path:
        return by_path[layer], None
    path, _, number = layer.rpartition("#")
    return (by_path[path], int(number)) if path in by_path and number.isdecimal() else (None, None)


def make_irregular(model: Any) -> None:
    """Add noise to weights that are all the same, such as scales of 1e-6, biases of 0 and averages."""
    generator = np.random.default_rng(SEED)
    for get, assign in _weights(model):
        values = get()
        if values.dtype == np.float32 and values.size > 1 and (values == values.flat[0]).all():
            noise = (
                generator.uniform(0.5, 1.0, values.shape) if values.flat[0] else generator.normal(0, 0.1, values.shape)
            )
            assign(noise.astype(np.float32))


def calibrate(model: Any, inputs: Any) -> None:
    """Let batch normalization take the averages of some inputs: with random weights, deep layers vanish otherwise."""
    import torch

    if hasattr(model, "get_config"):
        normalizations = [layer for layer in model._flatten_layers() if type(layer).__name__ == "BatchNormalization"]
        momenta = [layer.momentum for layer in normalizations]
        for layer in normalizations:
            layer.momentum = 0.0
        model(inputs, training=True)
        for layer, momentum in zip(normalizations, momenta, strict=True):
            layer.momentum = momentum
        return
    modules = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [module.momentum for module in modules]
    for module in modules:
        module.momentum = 1.0
        module.train()
    with torch.no_grad():
        model(torch.tensor(inputs))
    for module, momentum in zip(modules, momenta, strict=True):
        module.momentum = momentum
        module.eval()


def _weights(model: Any) -> list[tuple[Callable[[], Any], Callable[[Any], None]]]:
    import torch

    if isinstance(model, torch.nn.Module) and not hasattr(model, "get_config"):
        tensors = [*model.parameters(), *(each for name, each in model.named_buffers() if "running" in name)]
        return [(lambda each=each: each.detach().numpy(), lambda new, each=each: _copy(each, new)) for each in tensors]
    return [(lambda each=each: np.asarray(each.numpy()), each.assign) for each in model.weights]


def _copy(tensor: Any, values: Any) -> None:
    import torch

    with torch.no_grad():
        tensor.copy_(torch.tensor(values))


def state(model: Any) -> str:
    """Return a digest of everything about a model that an explanation must not change."""
    digest = hashlib.sha256()
    for get, _ in _weights(model):
        digest.update(np.ascontiguousarray(get()).tobytes())
    modules = list(model.modules()) if hasattr(model, "modules") else []
    for module in modules:
        digest.update(repr((module.training, len(module._forward_hooks), len(module._forward_pre_hooks))).encode())
    for parameter in model.parameters() if modules else ():
        digest.update(repr((parameter.requires_grad, parameter.grad is None)).encode())
    if not modules:
        digest.update(repr([(each.path, each.trainable) for each in model.weights]).encode())
    return digest.hexdigest()


def _ratio(explainer: Any, inputs: Any) -> float:
    """Return the time of an explanation, of one class of one image, over that of a bare forward pass."""
    forward = _bare_forward(explainer.classifier.model, inputs)
    times: list[list[float]] = [[], []]
    for run in (forward, lambda: explainer.heatmaps(inputs, 0)):
        run()
    for _ in range(ROUNDS):
        for run, seconds in zip((forward, lambda: explainer.heatmaps(inputs, 0)), times, strict=True):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    return float(np.median(times[1]) / np.median(times[0]))


def _bare_forward(model: Any, inputs: Any) -> Callable[[], Any]:
    import torch

    if not hasattr(model, "get_config"):

        def forward() -> Any:
            with torch.no_grad():
                return scores_of(model(torch.tensor(inputs)))

        return forward
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(lambda value: model(value, training=False), autograph=False)
        return lambda: scores_of(compiled(tf.constant(inputs))).numpy()
    if backend == "jax":
        import jax

        compiled = jax.jit(lambda value: model(value, training=False))
        return lambda: np.asarray(scores_of(compiled(inputs)))

    def run() -> Any:
        with torch.no_grad():
            return scores_of(model(torch.tensor(inputs), training=False))

    return run
