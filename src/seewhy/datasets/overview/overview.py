"""The overview of a whole data set: what the model predicts, where it looks for each class, and clusters of maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from seewhy.datasets.output import Output
from seewhy.datasets.overview.clusters import Clusters, find_clusters
from seewhy.datasets.overview.map_statistics import Values, border_share, centre_of_mass, energy, small_maps
from seewhy.datasets.overview.row_index import Integers, RowIndex, index_rows
from seewhy.datasets.overview.shortcuts import Group, Shortcut, find_shortcuts
from seewhy.errors import OptionError, short_repr
from seewhy.representation import description

MAX_MAPS = 256
"""The number of maps of a class of which clusters are found; of more, so many are drawn at random."""

MAX_ALL_MAPS = 50_000
"""The number of maps of all classes that are held in memory for that."""

MIN_PER_CLASS = 20

EXAMPLES = 6
"""How many rows of a cluster are its examples."""


@final
@dataclass(frozen=True)
class Cluster:
    """Images of a class whose maps are alike.

    Attributes:
        images: The number of maps in it, of those that were clustered.
        mean_map: The mean of their energy, (rows, columns).
        centre: The centre of mass of that, (y, x) in 0..1.
        border: The mean share of the energy at the border.
        silhouette: The mean silhouette of its maps; None where the class has no clusters.
        rows: The rows of its maps in the index.
        examples: Those whose maps are most like the mean.
        shortcut: Why it is suspected to be a shortcut; None if it is not.
    """

    images: int
    mean_map: Values
    centre: tuple[float, float]
    border: float
    silhouette: float | None
    rows: Integers
    examples: Integers
    shortcut: Shortcut | None


@final
@dataclass(frozen=True)
class ClassOverview:
    """The maps of one class: those of images that the model predicts as this class, where it was explained.

    Images of which other classes were explained count for the first of them.

    Attributes:
        name: The name of the class, or of another target.
        images: The number of images.
        labelled: The number of those that are predicted as this class, and whose true class is known.
        correct: The number of those in which it is this class.
        without_evidence: The number of maps without positive values.
        probability: The median of the probability of this class where it is predicted; NaN where it never is.
        mean_map: The mean of the energy of all maps with evidence, (rows, columns).
        centre: The centre of mass of that, (y, x) in 0..1; None without evidence.
        border: The mean share of the energy in the outermost tenth at each side; None without evidence. It is 0.36 of a
            uniform map.
        clustered: The number of maps of which clusters were found.
        silhouette: The mean silhouette of the clusters; None where there are none.
        clusters: The clusters, the largest first; one, of all maps, where there are none.
    """

    name: str
    images: int
    labelled: int
    correct: int
    without_evidence: int
    probability: float
    mean_map: Values
    centre: tuple[float, float] | None
    border: float | None
    clustered: int
    silhouette: float | None
    clusters: tuple[Cluster, ...]


@final
@dataclass(frozen=True, repr=False)
class Overview:
    """The overview of a data set.

    Attributes:
        index: The rows.
        classes: The classes, the one with the most images first.
        seed: The seed of what is drawn at random.
    """

    index: RowIndex
    classes: tuple[ClassOverview, ...]
    seed: int

    def __repr__(self) -> str:
        named = ", ".join(name.name for name, _ in self.shortcuts) or "none"
        return description(
            self, f"of {len(self.index):,} images in {len(self.classes):,} classes; suspected shortcuts: {named}"
        )

    @property
    def shortcuts(self) -> list[tuple[ClassOverview, Cluster]]:
        """The clusters that are suspected to be shortcuts, each with its class."""
        return [(each, cluster) for each in self.classes for cluster in each.clusters if cluster.shortcut is not None]

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers, ready for JSON; maps are lists of rows."""
        return {
            "images": len(self.index),
            "seed": self.seed,
            "classes": [_class_facts(each, self.index) for each in self.classes],
        }


def make_overview(output: Output, *, seed: int = 0) -> Overview:
    """Return the overview of the data set of an output.

    The output is read twice, part by part. Memory grows with the number of images by some 150 bytes for each.

    Args:
        output: The output of a run.
        seed: The seed of the maps that are drawn for the clusters.

    Raises:
        OptionError: The seed is no natural number, or there are no results.
        MissingExtraError: scikit-learn is not installed.
    """
    if type(seed) is not int or seed < 0:
        raise OptionError(f"seed is {short_repr(seed)}; expected an integer, 0 or more.")
    index = index_rows(output)
    if not len(index):
        raise OptionError(f"{output.path} has no results to look at: {output.errors().num_rows:,} images failed.")
    drawn = _draw_rows(index, seed)
    sums, maps = _read_maps(output, index, np.concatenate([np.zeros(0, np.int64), *drawn]))
    by_class = np.split(maps, np.cumsum([len(rows) for rows in drawn])[:-1])
    clusters = [find_clusters(own, seed) for own in by_class]
    shortcuts = find_shortcuts(by_class, clusters, seed)
    found = []
    for number, rows in enumerate(drawn):
        parts = list(_clusters(by_class[number], clusters[number], rows, number, shortcuts))
        found.append(_class_overview(index, number, sums, rows, clusters[number], parts))
    present = sorted((each for each in found if each.images), key=lambda each: -each.images)
    return Overview(index, tuple(present), seed)


@dataclass
class _Sums:
    """The sums of the maps of each class."""

    maps: Values
    border: Values
    count: Values


def _draw_rows(index: RowIndex, seed: int) -> list[Integers]:
    """Return, for each name, the rows of which clusters are found."""
    random = np.random.default_rng(seed)
    order = np.argsort(index.classes, kind="stable")
    by_class = np.split(order, np.searchsorted(index.classes[order], np.arange(1, len(index.names))))
    present = sum(len(rows) > 0 for rows in by_class)
    limit = int(np.clip(MAX_ALL_MAPS // max(present, 1), MIN_PER_CLASS, MAX_MAPS))
    drawn = []
    for rows in by_class:
        shown = rows[index.has_evidence[rows]]
        drawn.append(np.sort(random.choice(shown, limit, replace=False)) if len(shown) > limit else shown)
    return drawn


def _read_maps(output: Output, index: RowIndex, drawn: Integers) -> tuple[_Sums, Values]:
    """Return the sums of all maps, and those that were drawn, in that order."""
    place = np.full(len(index), -1)
    place[drawn] = np.arange(len(drawn))
    sums, kept, start = None, None, 0
    for _, table in output.parts(["heatmaps"]):
        rows = np.arange(start, start + table.num_rows)
        start += table.num_rows
        if not len(rows):
            continue
        values = table.column("heatmaps").combine_chunks().to_numpy_ndarray()
        maps = energy(values[np.arange(len(rows)), index.targets[rows]])
        border, maps = border_share(maps), small_maps(maps)
        if sums is None or kept is None:
            names, shape = len(index.names), maps.shape[1:]
            sums = _Sums(np.zeros((names, *shape)), np.zeros(names), np.zeros(names))
            kept = np.zeros((len(drawn), *shape))
        classes = index.classes[rows]
        np.add.at(sums.maps, classes, maps)
        np.add.at(sums.border, classes, border)
        np.add.at(sums.count, classes, maps.any(axis=(1, 2)))
        kept[place[rows][place[rows] >= 0]] = maps[place[rows] >= 0]
    assert sums is not None  # noqa: S101  # there are rows
    assert kept is not None  # noqa: S101
    return sums, kept


def _class_overview(
    index: RowIndex, number: int, sums: _Sums, drawn: Integers, clusters: Clusters, parts: Sequence[Cluster]
) -> ClassOverview:
    own = index.classes == number
    predicted = own & (index.predicted == number)  # the others say nothing about how well this class is predicted
    known = index.correct[predicted]
    count = max(sums.count[number], 1)
    mean = sums.maps[number] / count
    probabilities = index.probabilities[predicted]
    return ClassOverview(
        name=index.names[number],
        images=int(own.sum()),
        labelled=int((known >= 0).sum()),
        correct=int((known == 1).sum()),
        without_evidence=int((~index.has_evidence[own]).sum()),
        probability=float(np.median(probabilities)) if len(probabilities) else float("nan"),
        mean_map=mean,
        centre=_pair(centre_of_mass(mean[None])[0]) if sums.count[number] else None,
        border=float(sums.border[number] / count) if sums.count[number] else None,
        clustered=len(drawn),
        silhouette=clusters.silhouette,
        clusters=tuple(parts),
    )


def _clusters(
    maps: Values, clusters: Clusters, rows: Integers, number: int, shortcuts: dict[Group, Shortcut]
) -> Iterator[Cluster]:
    for cluster in range(clusters.count if len(maps) else 0):
        own = clusters.labels == cluster
        mean = maps[own].mean(axis=0)
        likeness = (maps[own] * mean).sum(axis=(1, 2)) / np.linalg.norm(maps[own], axis=(1, 2))
        yield Cluster(
            images=int(own.sum()),
            mean_map=mean,
            centre=_pair(centre_of_mass(mean[None])[0]),
            border=float(border_share(maps[own]).mean()),
            silhouette=float(clusters.silhouettes[own].mean()) if clusters.count > 1 else None,
            rows=rows[own],
            examples=rows[own][np.argsort(-likeness, kind="stable")[:EXAMPLES]],
            shortcut=shortcuts.get(Group(number, cluster)),
        )


def _pair(values: Values) -> tuple[float, float]:
    y, x = values
    return float(y), float(x)


def _class_facts(each: ClassOverview, index: RowIndex) -> dict[str, Any]:
    return {
        "name": each.name,
        "images": each.images,
        "labelled": each.labelled,
        "correct": each.correct,
        "without_evidence": each.without_evidence,
        "median_probability": None if np.isnan(each.probability) else each.probability,
        "mean_map": each.mean_map.tolist(),
        "centre": each.centre,
        "border": each.border,
        "clustered": each.clustered,
        "silhouette": each.silhouette,
        "clusters": [
            {
                "images": cluster.images,
                "mean_map": cluster.mean_map.tolist(),
                "centre": cluster.centre,
                "border": cluster.border,
                "silhouette": cluster.silhouette,
                "examples": [index.keys[int(row)].as_py() for row in cluster.examples],
                "shortcut": None if cluster.shortcut is None else cluster.shortcut._asdict(),
            }
            for cluster in each.clusters
        ],
    }
