"""Clusters of the maps of one class: spectral relevance analysis (SpRAy, Lapuschkin et al., arXiv 1902.10178).

Two maps are as similar as the cosine between their squares, in which the strongest evidence counts most: 1 for equal
maps, and 0 for maps that have no cell in common. Each map is joined to its most similar ones, and k-means on the first
k eigenvectors of this graph's normalized Laplacian finds k clusters (Ng, Jordan and Weiss, 2001). The k with the
largest mean silhouette (Rousseeuw, 1987) is taken, of those with which all clusters together, or one of them, are clear
enough; otherwise there are no clusters.
"""

import importlib
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.datasets.overview.map_statistics import Values
from seewhy.errors import MissingExtraError

MAX_CLUSTERS = 8

MIN_MAPS = 20
"""The number of maps below which no clusters are looked for."""

MIN_SILHOUETTE = 0.35
"""The mean silhouette of all maps from which on there are clusters. Maps of an object that may be
anywhere reach 0.3."""

CLEAR = 0.55
"""The mean silhouette of one cluster from which on it is one, whatever the others are. Above 0.5 it is a reasonable
structure, in the words of Kaufman and Rousseeuw (1990)."""

MIN_CLUSTER, MIN_SHARE = 8, 0.1
"""The number of maps, and the share of its class, that such a cluster needs."""

NEIGHBOURS = 5
"""The number of most similar maps to which each map is joined."""

BACKGROUND = 1e-3
"""The weight of all other similarities, without which the graph could fall into pieces."""

Labels = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Clusters:
    """The clusters of the maps of a class.

    Attributes:
        labels: The cluster of each map, (n,), the largest cluster first; all 0 where there are no clusters.
        silhouettes: How much closer each map is to its own cluster than to the next, -1..1, (n,); zeros where there
            are no clusters.
    """

    labels: Labels
    silhouettes: Values

    @property
    def count(self) -> int:
        """The number of clusters; 1 where there are none."""
        return int(self.labels.max(initial=0)) + 1

    @property
    def silhouette(self) -> float | None:
        """The mean silhouette; None where there are no clusters."""
        return float(self.silhouettes.mean()) if self.count > 1 else None


def find_clusters(maps: Values, seed: int = 0) -> Clusters:
    """Find the clusters of maps.

    Args:
        maps: (n, u, v), the energy of each map, none of them empty.
        seed: The seed of k-means.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    k_means, silhouette = scikit_learn("cluster").KMeans, scikit_learn("metrics").silhouette_samples
    best = Clusters(np.zeros(len(maps), np.int64), np.zeros(len(maps)))
    if len(maps) < MIN_MAPS:
        return best
    similarity = cosines(maps)
    vectors = _eigenvectors(similarity)
    distances = np.sqrt(1 - similarity)
    np.fill_diagonal(distances, 0)
    best_mean = -1.0
    for count in range(2, MAX_CLUSTERS + 1):
        rows = vectors[:, :count]
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        labels = k_means(count, n_init=3, random_state=seed).fit_predict(rows)
        if len(np.unique(labels)) < count:
            break  # there are fewer different maps
        silhouettes = silhouette(distances, labels, metric="precomputed")
        if silhouettes.mean() > best_mean and _are_clear(labels, silhouettes):
            best, best_mean = Clusters(_largest_first(labels), silhouettes), silhouettes.mean()
    return best


def is_clear(silhouettes: Values, count: int) -> bool:
    """Return whether a cluster is clear, and large enough.

    Args:
        silhouettes: Of its maps.
        count: The number of maps of its class.
    """
    return len(silhouettes) >= max(MIN_CLUSTER, MIN_SHARE * count) and bool(silhouettes.mean() >= CLEAR)


def _are_clear(labels: Labels, silhouettes: Values) -> bool:
    own = (silhouettes[labels == label] for label in np.unique(labels))
    return bool(silhouettes.mean() >= MIN_SILHOUETTE) or any(is_clear(each, len(labels)) for each in own)


def cosines(maps: Values) -> Values:
    """Return the cosine between the squares of each pair of maps, (n, n) in 0..1."""
    rows = np.square(maps.reshape(len(maps), -1))
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    values: Values = np.clip(rows @ rows.T, 0, 1)
    return values


def _eigenvectors(similarity: Values) -> Values:
    """Return the first eigenvectors of the normalized Laplacian of the graph, (n, MAX_CLUSTERS)."""
    count = len(similarity)
    others = similarity - 2 * np.eye(count)  # no map is joined to itself
    nearest = np.argpartition(-others, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    joined = np.zeros((count, count), dtype=bool)
    np.put_along_axis(joined, nearest, values=True, axis=1)
    weights = np.where(joined | joined.T, 1.0, BACKGROUND * similarity)
    np.fill_diagonal(weights, 0)
    scale = 1 / np.sqrt(weights.sum(axis=1))
    vectors: Values = np.linalg.eigh(-scale[:, None] * weights * scale)[1][:, :MAX_CLUSTERS]
    return vectors


def _largest_first(labels: Labels) -> Labels:
    names, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    ranks = np.empty(len(names), np.int64)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return ranks[positions]


def scikit_learn(module: str) -> Any:
    """Return a module of scikit-learn.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise MissingExtraError("For the clusters of a data set, scikit-learn", "report") from error
