"""The overview of a data set: statistics by hand, clusters, and which of them are suspected to be shortcuts."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.datasets.handmade_output import blob, handmade_output, random_maps

from seewhy import datasets
from seewhy.datasets.overview.clusters import cosines, find_clusters
from seewhy.datasets.overview.map_statistics import border_share, centre_of_mass, energy, small_maps
from seewhy.datasets.overview.row_filter import RowFilter
from seewhy.datasets.overview.row_index import index_rows
from seewhy.datasets.overview.shortcuts import find_shortcuts, window_shares
from seewhy.errors import MissingExtraError, OptionError


def test_energy_is_the_positive_part_with_the_sum_1():
    maps = energy(np.array([[[3, -5], [0, 1]], [[-1, -2], [0, 0]]], np.float32))
    np.testing.assert_array_equal(maps, [[[0.75, 0], [0, 0.25]], [[0, 0], [0, 0]]])


def test_the_centre_of_mass():
    maps = energy(np.array([[[3, 0, 0, 0], [0, 0, 0, 1]], [[0, 0, 0, 0], [0, 0, 0, 0]]], np.float32))
    centres = centre_of_mass(maps)
    np.testing.assert_allclose(centres[0], [0.75 * 0.25 + 0.25 * 0.75, 0.75 * 0.125 + 0.25 * 0.875])
    assert np.isnan(centres[1]).all()


def test_the_border_counts_cells_by_their_area():
    """Of five cells along an axis, half of the first and of the last are in the outermost tenth."""
    corner, edge, middle = np.zeros((3, 5, 5))
    corner[0, 0], edge[0, 2], middle[2, 2] = 1, 1, 1
    uniform = np.full((5, 5), 1 / 25)
    shares = border_share(np.stack([corner, edge, middle, uniform]))
    np.testing.assert_allclose(shares, [1 - 0.5 * 0.5, 0.5, 0, 1 - 0.8**2], atol=1e-12)


def test_small_maps_keep_the_energy_and_its_place():
    """Three cells become two: the middle one is divided."""
    row = np.array([[[0.2, 0.4, 0.4]]])
    np.testing.assert_allclose(small_maps(row, 2), [[[0.4, 0.6]]])
    large = energy(np.random.default_rng(0).random((2, 50, 33)).astype(np.float32))
    assert small_maps(large).shape == (2, 16, 16)
    np.testing.assert_allclose(centre_of_mass(small_maps(large)), centre_of_mass(large), atol=0.01)
    np.testing.assert_allclose(small_maps(large).sum(axis=(1, 2)), 1)


def test_the_shares_of_windows():
    """Of 5 x 5 cells, windows of 2 x 2, 16 of them."""
    maps = np.random.default_rng(0).random((3, 5, 5))
    shares = window_shares(maps)
    assert shares.shape == (3, 16)
    np.testing.assert_allclose(shares[:, 4 * 2 + 3], maps[:, 2:4, 3:5].sum(axis=(1, 2)))


def test_clusters_are_found_where_there_are_some():
    random = np.random.default_rng(0)
    places = [(1, 1), (5, 5), (1, 5)]
    truth = np.repeat([0, 1, 2], [30, 20, 10])
    maps = energy(np.stack([blob(*places[number], random.uniform(0.8, 1)) for number in truth]))
    found = find_clusters(maps)
    np.testing.assert_array_equal(found.labels, truth)  # the largest first
    distances = np.sqrt(np.maximum(1 - cosines(maps), 0))
    own, others = distances[0, 1:30].mean(), min(distances[0, 30:50].mean(), distances[0, 50:].mean())
    assert found.silhouettes[0] == pytest.approx(1 - own / others)
    np.testing.assert_array_equal(find_clusters(maps[:19]).labels, 0)  # too few
    assert find_clusters(np.repeat(maps[:1], 30, axis=0)).count == 1


def test_maps_are_compared_by_their_squares():
    np.testing.assert_allclose(cosines(np.array([[[1.0, 2.0]], [[2.0, 1.0]]])), [[1, 8 / 17], [8 / 17, 1]])


def test_no_clusters_are_found_where_objects_may_be_anywhere():
    maps, _ = random_maps(0, 100, 1)
    assert find_clusters(energy(maps)).silhouette is None


def suspected(maps, numbers):
    by_class = [energy(maps[numbers == number]) for number in range(numbers.max() + 1)]
    clusters = [find_clusters(own) for own in by_class]
    return find_shortcuts(by_class, clusters, permutations=99), clusters


@pytest.mark.parametrize("seed", range(2))
def test_a_tag_in_a_corner_of_one_class_is_suspected_and_nothing_else(seed):
    maps, numbers = random_maps(seed, 120, 3, tagged=0.4)
    shortcuts, clusters = suspected(maps, numbers)
    ((group, shortcut),) = shortcuts.items()
    assert group.class_number == 0
    own = energy(maps[numbers == 0])[clusters[0].labels == group.cluster]
    np.testing.assert_allclose(shortcut.window, (4 / 7, 0, 1, 3 / 7))
    assert shortcut.energy == pytest.approx(own[:, 4:, :3].sum(axis=(1, 2)).mean())
    others = energy(maps[numbers != 0])[:, 4:, :3].sum(axis=(1, 2)) > 0.5
    assert (shortcut.hits, shortcut.others, shortcut.p_value) == (1, others.mean(), 0.01)
    assert suspected(*random_maps(seed, 120, 3))[0] == {}  # without a tag


def test_what_is_not_a_shortcut_is_not_suspected():
    tagged, numbers = random_maps(0, 120, 3, tagged=1)
    assert len(suspected(tagged, numbers)[0]) == 1  # all images of the class
    assert suspected(tagged[numbers == 0], numbers[numbers == 0])[0] == {}  # no other class
    assert suspected(*random_maps(0, 120, 3, tagged=0.4, everywhere=True))[0] == {}  # in every class
    centred = np.where((numbers == 0)[:, None, None], blob(3, 3), tagged)
    assert suspected(centred, numbers)[0] == {}  # in the middle
    assert suspected(tagged[:, ::2, ::2], numbers)[0] == {}  # four rows are too few


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """240 images of two classes, of which 4 have no evidence, each explained for both classes."""
    maps, numbers = random_maps(1, 240, 2, tagged=0.4)
    maps[:4] = -1
    both = np.stack([maps, np.ones_like(maps)], axis=1)
    labels = [None if row % 10 == 9 else int(numbers[row] != (row % 5 == 0)) for row in range(240)]
    return handmade_output(tmp_path_factory.mktemp("made"), both, numbers, ["cat", "dog"], labels=labels)


def test_the_overview_counts_and_averages_what_the_table_holds(output):
    overview = datasets.make_overview(output)
    rows = output.table().drop_columns("heatmaps").to_pylist()
    maps = energy(output.table()["heatmaps"].combine_chunks().to_numpy_ndarray()[:, 0])
    assert [each.name for each in overview.classes] == ["cat", "dog"]
    for each in overview.classes:
        own = np.array([row["predictions"][0]["name"] == each.name for row in rows])
        known = [row for row, is_own in zip(rows, own, strict=True) if is_own and row["label_index"] is not None]
        correct = sum(row["label"] == each.name for row in known)
        assert (each.images, each.labelled, each.correct) == (120, len(known), correct)
        assert each.without_evidence == 2
        seen = maps[own][maps[own].any(axis=(1, 2))]
        np.testing.assert_allclose(each.mean_map, seen.mean(axis=0))
        assert each.border == pytest.approx(border_share(seen).mean())
        assert each.clustered == 118
    ((suspect, cluster),) = overview.shortcuts
    assert suspect.name == "cat"
    assert cluster.centre[0] > 0.65 > 0.35 > cluster.centre[1]
    assert set(cluster.examples) <= set(cluster.rows)
    facts = overview.as_dict()
    assert facts["classes"][0]["clusters"][0]["images"] == overview.classes[0].clusters[0].images
    assert repr(overview) == "<Overview of 240 images in 2 classes; suspected shortcuts: cat>"


def test_the_map_of_a_row_is_that_of_the_predicted_class(tmp_path):
    """Where it was not explained, that of the first target."""
    maps, names = np.ones((2, 2, 3, 3)), ["cat", "dog", "fish"]
    second = index_rows(handmade_output(tmp_path / "second", maps, np.array([0, 1]), names, first=2))
    assert second.targets.tolist() == [1, 1]
    assert [second.name(code) for code in second.classes] == ["cat", "dog"]
    neither = index_rows(handmade_output(tmp_path / "neither", maps, np.array([0, 1]), names, first=1))
    assert neither.targets.tolist() == [0, 0]
    assert [neither.name(code) for code in neither.classes] == ["dog", "fish"]


def test_only_images_that_are_predicted_as_a_class_say_how_well_it_is_predicted(tmp_path):
    """The probability of a cat is not that of the dog whose map was made."""
    maps, names = np.ones((2, 1, 5, 5)), ["cat", "dog", "fish"]
    output = handmade_output(tmp_path / "own", maps, np.array([0, 1]), names, labels=[0, 0])
    own = {
        each.name: (each.labelled, each.correct, each.probability) for each in datasets.make_overview(output).classes
    }
    assert own == {"cat": (1, 1, pytest.approx(0.4)), "dog": (1, 0, pytest.approx(0.486))}
    output = handmade_output(tmp_path / "other", maps, np.array([0, 1]), names, labels=[0, 0], first=1)
    for each in datasets.make_overview(output).classes:
        assert (each.images, each.labelled, each.correct) == (1, 0, 0)
        assert np.isnan(each.probability)


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"predicted": "cat"}, lambda row: row["predictions"][0]["name"] == "cat"),
        ({"label": "dog"}, lambda row: row["label"] == "dog"),
        ({"confidence": "middle"}, lambda row: 0.5 <= row["predictions"][0]["probability"] < 0.9),
        ({"verdict": "wrong"}, lambda row: row["label"] not in (None, row["predictions"][0]["name"])),
        ({"evidence": "none"}, lambda row: not row["targets"][0]["has_evidence"]),
        ({"search": " 01"}, lambda row: "01" in row["key"]),
        ({"search": "CAT"}, lambda row: "cat" in (row["label"], row["predictions"][0]["name"])),
        ({"predicted": "<b>", "verdict": "correct"}, lambda _: False),
        ({"cluster": "none"}, lambda _: False),
    ],
)
def test_filters(output, changes, passes):
    rows = output.table().drop_columns("heatmaps").to_pylist()
    found = RowFilter(**changes).rows(index_rows(output), {})
    assert found.tolist() == [number for number, row in enumerate(rows) if passes(row)]


def test_orders(output):
    index = index_rows(output)
    wrong_first = RowFilter(order="wrong-first").rows(index, {})
    expected = sorted(range(240), key=lambda row: (index.correct[row] != 0, -index.probabilities[row]))
    assert wrong_first.tolist() == expected
    least = RowFilter(order="least-confident", cluster="a").rows(index, {"a": np.array([5, 6, 7])})
    assert least.tolist() == sorted([5, 6, 7], key=lambda row: index.probabilities[row])


def test_parts_in_which_every_image_failed(tmp_path):
    maps, numbers = random_maps(0, 6, 2)
    made = handmade_output(tmp_path, maps[:, None], numbers, ["cat", "dog"], chunk_size=3)
    paths = sorted((made.path / "results").iterdir())
    pq.write_table(pq.read_table(paths[0]).slice(0, 0), paths[0])
    assert len(datasets.make_overview(made).index) == 3
    pq.write_table(pq.read_table(paths[1]).slice(0, 0), paths[1])
    with pytest.raises(OptionError, match="has no results to look at: 0 images failed"):
        datasets.make_overview(made)


def test_wrong_arguments(output, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="seed is -1; expected an integer, 0 or more"):
        datasets.make_overview(output, seed=-1)
    with pytest.raises(OptionError, match="sample is 0; expected 1 to 5,000"):
        datasets.write_report(output, tmp_path / "a.html", sample=0)
    with pytest.raises(OptionError, match=r"expected a name ending in \.html"):
        datasets.write_report(output, tmp_path / "a.pdf")
    monkeypatch.setitem(__import__("sys").modules, "sklearn.cluster", None)
    with pytest.raises(MissingExtraError, match="scikit-learn is not installed"):
        datasets.make_overview(output)
