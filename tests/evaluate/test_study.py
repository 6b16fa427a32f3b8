"""Studies of a model of which the true explanation is known."""

import csv
import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from tests.evaluate.quadrant_model import SIDE, quadrant_classifier, quadrant_images, quadrant_mask

from seewhy.errors import InputError, MethodError, OptionError, SeewhyWarning
from seewhy.evaluate import METRICS, bootstrap, study
from seewhy.evaluate.study_notes import findings, notes
from seewhy.evaluate.study_plan import prepare

COUNT = 10
TRUE = quadrant_mask().astype(np.float32) + 0.01 * np.random.default_rng(1).random((SIDE, SIDE))


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "DRAWS", 499)
        yield


@pytest.fixture(scope="module")
def classifier():
    return quadrant_classifier()


@pytest.fixture(scope="module")
def images():
    return quadrant_images(COUNT)


@pytest.fixture(scope="module")
def measured(classifier, images):
    """A study with the true map and its opposite among the methods."""
    return study(
        classifier,
        images,
        ["gradcam"],
        ["deletion", "insertion", "energy_pointing_game", "random_logit", "gini"],
        masks=[quadrant_mask()] * COUNT,
        maps={"true": [TRUE] * COUNT, "inverted": [1.02 - TRUE] * COUNT},
        layer="features",
        steps=8,
    )


def test_the_true_map_is_best_and_its_opposite_worst(measured):
    for metric in ("deletion", "insertion", "energy_pointing_game"):
        sign = 1 if METRICS[metric].higher_is_better else -1
        means = {method: sign * measured.table.cell(method, metric).mean for method in measured.methods[1:]}
        assert max(means, key=means.get) == "true"
        assert min(means, key=means.get) == "inverted"
        verdicts = [measured.table.cell(name, metric).verdict for name in ("true", "inverted")]
        assert verdicts == ["better than random and gaussian", "worse than random and gaussian"]
        assert measured.table.cell("inverted", metric).is_beaten
    assert findings(measured)[2].startswith("Energy-based pointing game: true is best, 0.")
    assert "Worse than random and gaussian: inverted." in findings(measured)[0]


def test_metrics_that_say_nothing_of_truth_give_no_verdict(measured):
    assert measured.table.cell("inverted", "gini").verdict == ""
    assert measured.table.cell("inverted", "random_logit").mean is None  # it cannot be explained again
    assert measured.table.cell("gradcam", "random_logit").count == COUNT


def test_differences_are_paired_and_corrected(measured):
    """With 10 images and all differences of one sign, p is 2/1024; Holm multiplies it by at most 9 comparisons."""
    compared = [each for each in measured.table.comparisons if each.metric == "insertion"]
    assert len(compared) == 3 + 3 * 2
    one = next(each for each in compared if (each.first, each.second) == ("true", "inverted"))
    own = measured.values[:, [1, 2], 1]
    assert one.difference == pytest.approx((own[:, 0] - own[:, 1]).mean())
    assert (one.p_value, one.better) == (2 / 1024, "true")
    assert one.corrected <= 9 * one.p_value
    assert one.interval[0] < one.difference < one.interval[1]


def test_values_are_those_of_the_metrics(measured, classifier, images):
    from seewhy.evaluate import deletion

    maps = np.stack([TRUE] * COUNT)[:, None]
    seeds = [int(np.random.SeedSequence([0, image]).generate_state(1)[0]) for image in range(COUNT)]
    own = [
        deletion(classifier, [images[i]], maps[i : i + 1], "top-1", steps=8, seed=seeds[i], batch_size=16)[0, 0]
        for i in range(2)
    ]
    np.testing.assert_array_equal(measured.values[:2, 1, 0], own)


def test_files_have_every_value(measured, tmp_path):
    rows = list(csv.DictReader(measured.save(tmp_path / "values.csv").read_text("utf-8").splitlines()))
    assert len(rows) == COUNT * 5 * 5
    assert (rows[0]["image"], rows[0]["method"], rows[0]["metric"]) == ("image 1", "gradcam", "deletion")
    assert float(rows[0]["value"]) == measured.values[0, 0, 0]
    assert {row["explained"] for row in rows} == {"0"}
    stored = json.loads(measured.save(tmp_path / "values.json").read_text())
    assert [row["value"] for row in stored[:5]] == measured.values[0, 0].tolist()
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = parquet.read_table(measured.save(tmp_path / "values.parquet"))
    assert table.column("value").to_pylist() == [row["value"] for row in stored]
    with pytest.raises(OptionError, match=r"Cannot write values as '.xlsx'"):
        measured.save(tmp_path / "values.xlsx")


def test_a_study_gives_the_same_bits_also_when_it_is_resumed(classifier, images, tmp_path):
    arguments = (classifier, images[:3], ["gradcam"], ["deletion", "random_logit"])
    options = {"layer": "features", "steps": 4, "seed": 7}
    whole = study(*arguments, **options)
    stopped = prepare(*arguments, out=tmp_path / "study", **options).run(should_stop=lambda: True)
    assert not stopped.is_complete
    assert stopped.store.image(0) is not None
    assert stopped.store.image(1) is None
    resumed = study(*arguments, out=tmp_path / "study", resume=True, **options)
    np.testing.assert_array_equal(resumed.values, whole.values)
    report = [each.report(tmp_path / f"{name}.html").read_bytes() for name, each in (("a", whole), ("b", resumed))]
    assert report[0] == report[1]
    other = study(*arguments, **{**options, "seed": 8})
    assert not np.array_equal(other.values, whole.values, equal_nan=True)


def test_a_study_is_resumed_only_with_the_same_settings(classifier, images, tmp_path):
    def run(steps, count=2, *, resume=False):
        options = {"layer": "features", "steps": steps, "out": tmp_path / "study", "resume": resume}
        return prepare(classifier, images[:count], ["gradcam"], ["deletion"], **options).run()

    with pytest.raises(OptionError, match=r"There is no study in .* to resume"):
        run(4, resume=True)
    run(4)
    with pytest.raises(OptionError, match=r"has the results of a study\. Add --resume"):
        run(4)
    with pytest.raises(OptionError, match=r"other settings \(steps: 4, now 5; the images: 2 images .*, now 1 image "):
        run(5, 1, resume=True)
    assert run(4, resume=True).is_complete


def test_a_study_is_not_resumed_with_other_files_of_the_same_names_and_sizes(classifier, images, tmp_path):
    """What was measured of the old files would stand beside what is measured of the new ones."""
    options = {"layer": "features", "steps": 2, "out": tmp_path / "study", "maps": {"tool": tmp_path / "maps"}}
    options["masks"] = tmp_path / "masks"
    for folder in ("images", "maps", "masks"):
        (tmp_path / folder).mkdir()
    mask, path = quadrant_mask(), tmp_path / "images" / "1.bmp"
    Image.fromarray(images[0]).save(path)
    Image.fromarray(mask).convert("L").save(tmp_path / "masks" / "1.bmp")
    np.save(tmp_path / "maps" / "1.npy", TRUE)
    metrics = ["deletion", "box_iou"]
    prepare(classifier, path, ["gradcam"], metrics, **options).run()
    Image.fromarray(images[1]).save(path)
    Image.fromarray(~mask).convert("L").save(tmp_path / "masks" / "1.bmp")
    np.save(tmp_path / "maps" / "1.npy", -TRUE)
    expected = r"\(the images: .*; the maps of other tools: .*; the annotations: .*\)"
    with pytest.raises(OptionError, match=expected):
        prepare(classifier, path, ["gradcam"], metrics, resume=True, **options).run()


@pytest.mark.parametrize(
    ("file", "content"), [("000000-00.npy", "x"), ("000000-00.json", "{}"), ("000000.json", "["), ("000000.json", "{}")]
)
def test_damaged_results_are_named(measured, tmp_path, file, content):
    shutil.copytree(measured.folder, tmp_path / "study")
    damaged = replace(measured, folder=tmp_path / "study")
    (tmp_path / "study" / "results" / "000" / file).write_text(content)
    with pytest.raises(InputError, match=rf"{file} is damaged: .*\. Delete .*000000\* to measure that again"):
        damaged.report(tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_maps_of_zeros_and_nan_are_counted(classifier, images):
    maps = [np.zeros((4, 4)), np.full((4, 4), np.nan), np.ones((4, 4)), TRUE, np.ones((2, 4, 4))]
    result = study(
        classifier, images[:5], ["gradcam"], ["deletion", "gini"], maps={"tool": maps}, layer="features", steps=4
    )
    assert np.isnan(result.values[:, 1, 0]).tolist() == [True, True, True, False, True]
    listed = notes(result)
    assert "1 map of tool has no positive value (no evidence)." in listed
    assert "1 map of tool has NaN or infinite values, so that nothing is measured." in listed
    assert "1 map of tool is constant, so that it orders no pixels." in listed
    assert any("tool failed for 1 image: The map of 'tool' for image 5 has shape (2, 4, 4)" in note for note in listed)
    assert any("images without a value, which are not in the mean: tool 4." in note for note in listed)
    assert any(note.startswith("5 images are few: the intervals are too narrow") for note in listed)


def test_one_image_has_no_interval_and_nothing_is_left_out_in_silence(classifier, images, tmp_path):
    (tmp_path / "red").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "red" / "1.png")
    (tmp_path / "red" / "2.png").write_bytes(b"no image")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = study(
            classifier, tmp_path, ["gradcam"], ["deletion", "box_iou"], labels="folder", layer="features", steps=4
        )
    messages = [str(each.message) for each in caught if issubclass(each.category, SeewhyWarning)]
    expected = "No annotations were given, and box_iou needs them: give boxes or masks. The other metrics are measured."
    assert messages == [expected]
    assert list(result.metrics) == ["deletion"]
    assert result.has_omissions
    cell = result.table.cell("gradcam", "deletion")
    assert (cell.interval, cell.count, cell.verdict) == (None, 1, "one image: not compared")
    assert "This is one image: there is no interval" in findings(result)[0]
    assert any(note.startswith("1 image could not be measured: red/2.png (") for note in notes(result))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metrics": ["deletio"]}, OptionError, "Unknown metric 'deletio'. Did you mean 'deletion'?"),
        ({"metrics": []}, OptionError, "There is no metric"),
        ({"metrics": ["box_iou"]}, OptionError, "No annotations were given, and box_iou needs them"),
        ({"methods": ["gradcam", "gradcam"]}, MethodError, "The method 'gradcam' is given twice"),
        ({"steps": 0}, OptionError, "steps is 0; expected a whole number from 1"),
        ({"min_confidence": 1.5}, OptionError, "min_confidence is 1.5; expected a number between 0 and 1"),
        ({"seed": -1}, OptionError, "seed is -1; expected a whole number from 0"),
        ({"labels": [0]}, InputError, "1 labels were given for 2 images"),
        ({"masks": [None]}, InputError, "1 masks were given for 2 images"),
        ({"maps": {"tool": [TRUE]}}, InputError, "1 maps of 'tool' were given for 2 images"),
        ({"maps": {"gradcam": [TRUE] * 2}}, MethodError, "The method 'gradcam' is given twice"),
        ({"resume": True}, OptionError, "There is nothing to resume without a folder"),
    ],
)
def test_mistakes_are_found_before_anything_runs(classifier, images, options, error, message):
    given = {"methods": ["gradcam"], "metrics": ["deletion"], "layer": "features", **options}
    with pytest.raises(error, match=message):
        prepare(classifier, images[:2], **given)


def test_a_misclassified_image_is_marked_as_such_in_the_report(tmp_path):
    """The label is the last of seven classes, and a report has the five most probable ones."""
    import torch

    import seewhy

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 7, 1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with torch.no_grad():
        model[0].bias[:] = torch.arange(7, 0, -1) * 9.0
    classifier = seewhy.Classifier(model, preprocess=seewhy.Preprocessing(size=(4, 4), std=255.0))
    result = study(classifier, quadrant_images(1), ["gradcam"], ["gini"], labels=[6], layer="0")
    assert '"label":"class 6","correct":false' in result.report(tmp_path / "report.html").read_text("utf-8")


def test_the_value_of_a_metric_with_a_curve_summarises_it(classifier, images):
    explainer_metrics = ("model_randomization", "independent_randomization")
    import seewhy

    explainer = seewhy.Explainer(classifier, "gradcam", "features")
    maps, masks = TRUE[None, None], quadrant_mask()[None]
    for metric in METRICS.values():
        if metric.curve is None:
            continue
        arguments = (classifier, images[:1], maps) if metric.needs == "classifier" else (maps, masks)
        arguments = (explainer, images[:1]) if metric.name in explainer_metrics else arguments
        options = {"steps": 4} if "steps" in metric.options else {}
        expected = metric(*arguments, **options)
        np.testing.assert_allclose(metric.curve(*arguments, **options).values, expected, err_msg=metric.name)
