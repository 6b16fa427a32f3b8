"""Oracles: the papers' equations in loops, for one image and one target, (u, v, K) to (u, v)."""

from itertools import product

import numpy as np


def positions(activations):
    u, v, _ = activations.shape
    return list(product(range(u), range(v)))


def weighted(weights, activations):
    """Add up w_k A^k."""
    heatmap = np.zeros(activations.shape[:2])
    for i, j in positions(activations):
        heatmap[i, j] = sum(weights[k] * activations[i, j, k] for k in range(activations.shape[2]))
    return heatmap


def gradcam(activations, gradients):
    """Equations 1 and 2 of arXiv 1610.02391."""
    places = positions(activations)
    channels = range(activations.shape[2])
    return weighted([sum(gradients[i, j, k] for i, j in places) / len(places) for k in channels], activations)


def hirescam(activations, gradients):
    """Section 3.3 of arXiv 2011.08891."""
    heatmap = np.zeros(activations.shape[:2])
    for i, j in positions(activations):
        heatmap[i, j] = sum(gradients[i, j, k] * activations[i, j, k] for k in range(activations.shape[2]))
    return heatmap


def gradcampp(activations, gradients, score=1.7):
    """Equations 10 and 5 of arXiv 1710.11063 with the derivatives of Y = exp(S), whose factor is taken out of w."""
    places, weights = positions(activations), []
    for k in range(activations.shape[2]):
        weight = 0
        for i, j in places:
            first, second, third = (np.exp(score) * gradients[i, j, k] ** power for power in (1, 2, 3))
            below = 2 * second + sum(activations[a, b, k] * third for a, b in places)
            if second != 0 and below > 0:
                weight += second / below * max(first, 0)
        weights.append(weight / np.exp(score))
    return weighted(weights, activations)


def xgradcam(activations, gradients):
    """The weights of arXiv 2008.02312."""
    places, weights = positions(activations), []
    for k in range(activations.shape[2]):
        total = sum(activations[i, j, k] for i, j in places)
        weights.append(sum(activations[i, j, k] / total * gradients[i, j, k] for i, j in places) if total != 0 else 0.0)
    return weighted(weights, activations)


def elementwise(activations, gradients):
    heatmap = np.zeros(activations.shape[:2])
    for i, j in positions(activations):
        heatmap[i, j] = sum(max(gradients[i, j, k] * activations[i, j, k], 0) for k in range(activations.shape[2]))
    return heatmap


def layercam(activations, gradients):
    """Section III of Jiang et al., 2021."""
    heatmap = np.zeros(activations.shape[:2])
    for i, j in positions(activations):
        heatmap[i, j] = sum(max(gradients[i, j, k], 0) * activations[i, j, k] for k in range(activations.shape[2]))
    return heatmap


def first_component(rows):
    """O V_1 by the singular value decomposition that arXiv 2008.00299 has."""
    return rows @ np.linalg.svd(rows)[2][0]


def eigencam(activations, _):
    component = first_component(activations.reshape(-1, activations.shape[2]))
    return (component * np.sign(component.sum())).reshape(activations.shape[:2])


def eigengradcam(activations, gradients):
    products = (activations * gradients).reshape(-1, activations.shape[2])
    component = first_component(products)
    return (component * np.sign(component @ products.sum(axis=1))).reshape(activations.shape[:2])


def kpcacam(activations, _, kernel="rbf", gamma=None):
    """Kernel PCA as Schoelkopf et al. project on it: alpha of length 1 / sqrt(lambda), and the kernel once more."""
    rows = [activations[i, j] for i, j in positions(activations)]
    count, gamma = len(rows), gamma or 1 / activations.shape[2]
    values = np.zeros((count, count))
    for p, q in product(range(count), range(count)):
        if kernel == "rbf":
            values[p, q] = np.exp(-gamma * sum((a - b) ** 2 for a, b in zip(rows[p], rows[q], strict=True)))
        else:
            values[p, q] = np.tanh(gamma * sum(a * b for a, b in zip(rows[p], rows[q], strict=True)) + 1)
    means = np.full((count, count), 1 / count)
    centred = values - means @ values - values @ means + means @ values @ means
    eigenvalues, vectors = np.linalg.eig(centred)
    first = np.argmax(eigenvalues.real)
    alpha = vectors[:, first].real / np.sqrt(eigenvalues[first].real)
    component = centred @ alpha
    rises = sum(component[p] * np.sqrt(sum(a**2 for a in rows[p])) for p in range(count))
    return (component * np.sign(rises)).reshape(activations.shape[:2])


def interpolated_at(values, position, cells):
    """Interpolate the first axis at a position in cells, between the two nearest centres; the outermost hold beyond."""
    position = min(max(position, 0.0), cells - 1.0)
    below = int(np.floor(position))
    above = min(below + 1, cells - 1)
    part = position - below
    return (1 - part) * values[below] + part * values[above]


BY_HAND = {
    "gradcam": gradcam,
    "hirescam": hirescam,
    "gradcam++": gradcampp,
    "xgradcam": xgradcam,
    "elementwise": elementwise,
    "layercam": layercam,
    "refinecam": gradcampp,  # of one of its layers
    "finercam": gradcam,  # of the gradients that are captured, which are those of the contrast
    "eigencam": eigencam,
    "eigengradcam": eigengradcam,
    "kpcacam": kpcacam,
}
