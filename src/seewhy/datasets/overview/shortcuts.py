"""Suspected shortcuts: a group of images of one class whose evidence lies at one place near the border.

A model that has learned a mark in a corner, such as a logo or a caption, looks at the mark wherever it occurs: the maps
of these images are nearly equal, and lie elsewhere than those of the other images. A group is suspected if all of this
holds; the numbers are the constants below.

1. The group is clear: the mean silhouette of its maps among the clusters of its class is at least 0.55, above 0.5 being
   a reasonable structure in the words of Kaufman and Rousseeuw (1990), and it has at least eight maps and a tenth of
   those of its class. Or the class has no clusters, and the group is all of it.
2. The place is small and fixed: there is one window, 40% of the input high and wide, in which more than half of the
   energy of at least 80% of the group's maps lies.
3. It is near the border: the centre of the energy in the window is in the outer quarter of the input.
4. It is that class's own: fewer of the maps of the other classes have more than half of their energy in the window. The
   difference of the shares is compared with those after classes were assigned to maps at random; p is the share of such
   assignments in which any class, in any window, differs as much (the max-T permutation test of Westfall and Young,
   1993), and must be at most 0.01. A set of one class has no others, and none is suspected in it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.datasets.overview.clusters import MIN_MAPS, Clusters, Labels, is_clear
from seewhy.datasets.overview.map_statistics import Values, centre_of_mass

MIN_SIDE = 5
"""The rows and columns below which a window would not be small."""

WINDOW = 0.4
"""The side of a window, as a share of the input's."""

CONCENTRATED = 0.5
"""The share of a map's energy that lies in the window of a map that counts."""

FIXED = 0.8
"""The share of the group's maps that must count."""

NEAR_BORDER = 0.25
"""The largest distance of the centre from the nearest edge."""

PERMUTATIONS, MAX_P = 199, 0.01

Hits = NDArray[np.bool_]


class Shortcut(NamedTuple):
    """Why a group of images is suspected.

    Attributes:
        window: (top, left, bottom, right) of the window, in 0..1.
        centre: (y, x) of the energy in it, in 0..1.
        energy: The mean share of the group's energy that lies in it.
        hits: The share of the group's maps of which more than half of the energy lies in it.
        others: That share of the maps of other classes.
        p_value: Of the permutation test.
    """

    window: tuple[float, float, float, float]
    centre: tuple[float, float]
    energy: float
    hits: float
    others: float
    p_value: float


class Group(NamedTuple):
    """A cluster of a class, by their numbers."""

    class_number: int
    cluster: int


def find_shortcuts(
    maps: Sequence[Values], clusters: Sequence[Clusters], seed: int = 0, permutations: int = PERMUTATIONS
) -> dict[Group, Shortcut]:
    """Return the groups that are suspected.

    Args:
        maps: For each class, the energy of its maps, (n, u, v), none of them empty.
        clusters: For each class, the clusters of these maps.
        seed: The seed of the permutations.
        permutations: Their number.
    """
    used = [own for own in maps if len(own)]
    if not used or min(used[0].shape[1:]) < MIN_SIDE:
        return {}
    shares = [window_shares(own) for own in maps]
    candidates = {
        Group(number, cluster): window
        for number, (own, found) in enumerate(zip(shares, clusters, strict=True))
        for cluster in range(found.count)
        if (window := _window_of(own, maps[number], found, cluster)) is not None
    }
    if not candidates:
        return {}
    test = _PermutationTest(shares, seed, permutations)
    shortcuts = {}
    for group, window in candidates.items():
        own = shares[group.class_number][clusters[group.class_number].labels == group.cluster, window]
        p_value, others = test.p_value(group.class_number, window), test.share_of_others(group.class_number, window)
        if p_value <= MAX_P:
            mean = maps[group.class_number][clusters[group.class_number].labels == group.cluster].mean(axis=0)
            rows, columns = _window_slices(window, mean.shape)
            shortcuts[group] = Shortcut(
                window=_edges(rows, columns, mean.shape),
                centre=_centre_in(mean, rows, columns),
                energy=float(own.mean()),
                hits=float((own > CONCENTRATED).mean()),
                others=others,
                p_value=p_value,
            )
    return shortcuts


def window_shares(maps: Values) -> Values:
    """Return the share of the energy of each map that lies in each window, (n, windows), row by row."""
    heights, widths = (_window_side(cells) for cells in maps.shape[1:])
    sums = np.pad(maps.cumsum(axis=1).cumsum(axis=2), ((0, 0), (1, 0), (1, 0)))
    shares = (sums[:, heights:, widths:] - sums[:, :-heights, widths:] - sums[:, heights:, :-widths]) + sums[
        :, :-heights, :-widths
    ]
    by_window: Values = shares.reshape(len(maps), shares.shape[1] * shares.shape[2])
    return by_window


def _window_of(shares: Values, maps: Values, clusters: Clusters, cluster: int) -> int | None:
    """Return the window of a group that fulfils the first three conditions; None if there is none."""
    own = clusters.labels == cluster
    if len(maps) < MIN_MAPS or (clusters.count > 1 and not is_clear(clusters.silhouettes[own], len(maps))):
        return None
    hits = (shares[own] > CONCENTRATED).mean(axis=0)
    window = int(np.lexsort((shares[own].mean(axis=0), hits))[-1])  # the most maps, and of equal ones the most energy
    mean = maps[own].mean(axis=0)
    y, x = _centre_in(mean, *_window_slices(window, mean.shape))
    is_near = min(y, x, 1 - y, 1 - x) <= NEAR_BORDER
    return window if hits[window] >= FIXED and is_near else None


class _PermutationTest:
    """How the shares of maps that lie in a window differ between a class and the others, and by chance.

    The differences are divided by their standard deviation, so that small classes and rare windows do not decide alone.

    Args:
        shares: For each class, (n, windows).
        seed: The seed of the permutations.
        permutations: Their number.
    """

    def __init__(self, shares: Sequence[Values], seed: int, permutations: int) -> None:
        self._counts = np.array([len(own) for own in shares], np.float64)
        hits = np.concatenate([own > CONCENTRATED for own in shares])
        classes = np.repeat(np.arange(len(shares)), self._counts.astype(int))
        self._rate = hits.mean(axis=0)
        self._sums = self._hits_by_class(hits, classes)
        self._observed = self._statistic(self._sums)
        random = np.random.default_rng(seed)
        self._chance = np.array(
            [
                self._statistic(self._hits_by_class(hits[random.permutation(len(hits))], classes)).max()
                for _ in range(permutations)
            ]
        )

    def p_value(self, class_number: int, window: int) -> float:
        observed = self._observed[class_number, window]
        return float(1 + (self._chance >= observed).sum()) / (1 + len(self._chance))

    def share_of_others(self, class_number: int, window: int) -> float:
        others = np.delete(self._sums[:, window], class_number).sum()
        return float(others / max(self._counts.sum() - self._counts[class_number], 1))

    def _hits_by_class(self, hits: Hits, classes: Labels) -> Values:
        sums = np.zeros((len(self._counts), hits.shape[1]))
        starts = np.searchsorted(classes, np.arange(len(self._counts)))
        own = np.flatnonzero(self._counts)
        sums[own] = np.add.reduceat(hits.astype(np.float64), starts[own], axis=0)
        return sums

    def _statistic(self, sums: Values) -> Values:
        """Return the difference of each class and window, (classes, windows); 0 where it is not defined."""
        own = self._counts[:, None]
        others = self._counts.sum() - own
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = sums / own - (sums.sum(axis=0) - sums) / others
            deviation = np.sqrt(self._rate * (1 - self._rate) * (1 / own + 1 / others))
            statistic: Values = np.nan_to_num(difference / deviation, nan=0.0, posinf=0.0, neginf=0.0)
        return statistic


def _window_side(cells: int) -> int:
    return max(1, round(WINDOW * cells))


def _window_slices(window: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    height, width = (_window_side(cells) for cells in shape)
    top, left = divmod(window, shape[1] - width + 1)
    return slice(top, top + height), slice(left, left + width)


def _edges(rows: slice, columns: slice, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    return rows.start / shape[0], columns.start / shape[1], rows.stop / shape[0], columns.stop / shape[1]


def _centre_in(mean: Values, rows: slice, columns: slice) -> tuple[float, float]:
    """Return the centre of the energy of a map inside a window."""
    inside = np.zeros_like(mean)
    inside[rows, columns] = mean[rows, columns]
    y, x = centre_of_mass(inside[None])[0]
    return float(y), float(x)
