"""The gradients by the input of the model in `reference.py`, in plain NumPy, by hand; and the maps made of them."""

from types import SimpleNamespace

import numpy as np
from tests.contracts import reference


def gradients(inputs, indices, *, most=np.inf, guided=False):
    """Return dy^c/dx, (N, T, h, w, C), in double precision, of ReLUs that cut at 0 and at `most`."""
    kernels, biases = reference.weights()
    first = reference.convolve(inputs, kernels["first"], biases["first"], padding=1)
    second = reference.convolve(np.clip(first, 0, most), kernels["features"], biases["features"], padding=0)
    found = np.zeros((len(inputs), len(indices), *inputs.shape[1:]))
    for t, index in enumerate(indices):
        back = np.broadcast_to(kernels["dense"][:, index].reshape(second.shape[1:]), second.shape)
        back = through_relu(back, second, most, guided)
        back = through_convolution(back, kernels["features"], padding=0)
        back = through_relu(back, first, most, guided)
        found[:, t] = through_convolution(back, kernels["first"], padding=1)
    return found


def through_relu(back, values, most, guided):
    back = back * ((values > 0) & (values < most))
    return back * (back > 0) if guided else back


def through_convolution(back, kernel, padding):
    """Give what came back to each output to every input that it was made of."""
    n, u, v, _ = back.shape
    rows, columns, channels, _ = kernel.shape
    found = np.zeros((n, u + rows - 1, v + columns - 1, channels))
    for i in range(rows):
        for j in range(columns):
            found[:, i : i + u, j : j + v] += back @ kernel[i, j].astype(np.float64).T
    return found[:, padding : found.shape[1] - padding, padding : found.shape[2] - padding]


def scores(inputs, indices):
    return reference.expected(inputs, indices).scores


def gradcam(inputs, indices):
    """Return the Grad-CAM of "features", (N, T, 10, 8), cut at 0."""
    return reference.expected(inputs, indices).gradcam


def enlarged(heatmaps, size):
    """Resize (N, T, u, v) to (N, T, *size) bilinearly, each pixel by itself; cells hold at their centres."""
    u, v = heatmaps.shape[2:]
    found = np.zeros((*heatmaps.shape[:2], *size))
    for i in range(size[0]):
        for j in range(size[1]):
            y = min(max((i + 0.5) * u / size[0] - 0.5, 0), u - 1)
            x = min(max((j + 0.5) * v / size[1] - 0.5, 0), v - 1)
            top, left = int(y), int(x)
            below, right = min(top + 1, u - 1), min(left + 1, v - 1)
            down, along = y - top, x - left
            found[:, :, i, j] = (
                (1 - down) * (1 - along) * heatmaps[:, :, top, left]
                + (1 - down) * along * heatmaps[:, :, top, right]
                + down * (1 - along) * heatmaps[:, :, below, left]
                + down * along * heatmaps[:, :, below, right]
            )
    return found


def integrated(inputs, indices, steps, baseline):
    """Add up the gradients at the midpoints of `steps` parts of the way, in a loop."""
    total = 0
    for step in range(steps):
        total = total + gradients(baseline + (step + 0.5) / steps * (inputs - baseline), indices) / steps
    return np.einsum("nthwc,nhwc->nthw", total, inputs - baseline)


def smoothed(inputs, indices, samples, sigma, seed):
    """Average gradients over noisy copies of each image, drawn anew from the seed for each."""
    maps = []
    for image in inputs:
        random = np.random.default_rng(seed)
        noise = random.standard_normal((samples, *image.shape), dtype=np.float32)
        copies = image + sigma * (image.max() - image.min()) * noise
        maps.append(np.abs(gradients(copies, indices).mean(axis=0)).max(axis=-1))
    return np.stack(maps)


BASELINES = np.random.default_rng(7).normal(size=(3, *reference.SIZE, 3)).astype(np.float32)


def expected_gradients(inputs, indices, samples, sigma, seed, baselines):
    """Average gradients between noisy copies and baselines, sample by sample, drawn as `gradient_shap` says."""
    random = np.random.default_rng([seed, 1])
    shares, chosen = random.random(samples, dtype=np.float32), random.integers(len(baselines), size=samples)
    maps = []
    for image in inputs:
        noise = np.random.default_rng(seed).standard_normal((samples, *image.shape), dtype=np.float32)
        total = 0
        for s in range(samples):
            copy, start = image + sigma * (image.max() - image.min()) * noise[s], baselines[chosen[s]]
            point = shares[s] * copy + (1 - shares[s]) * start
            total = total + (gradients(point[None], indices)[0] * (copy - start)).sum(axis=-1)
        maps.append(total / samples)
    return np.stack(maps)


def maps(inputs, indices):
    """Return the map of every method, (N, T, h, w), signed, of options that `OPTIONS` says."""
    plain, guided = gradients(inputs, indices), gradients(inputs, indices, guided=True)
    return SimpleNamespace(
        saliency=np.abs(plain).max(axis=-1),
        gradient_x_input=np.einsum("nthwc,nhwc->nthw", plain, inputs),
        integrated_gradients=integrated(inputs, indices, steps=5, baseline=0.5),
        gradient_shap=expected_gradients(inputs, indices, samples=6, sigma=0.2, seed=3, baselines=BASELINES),
        smoothgrad=smoothed(inputs, indices, samples=6, sigma=0.2, seed=3),
        guided_backprop=guided.sum(axis=-1),
        guided_gradcam=guided.sum(axis=-1) * enlarged(gradcam(inputs, indices), inputs.shape[1:3]),
    )


OPTIONS = {
    "saliency": {},
    "gradient_x_input": {},
    "integrated_gradients": {"steps": 5, "baseline": 0.5},
    "gradient_shap": {"samples": 6, "sigma": 0.2, "seed": 3, "baselines": BASELINES},
    "smoothgrad": {"samples": 6, "sigma": 0.2, "seed": 3},
    "guided_backprop": {},
    "guided_gradcam": {},
}
