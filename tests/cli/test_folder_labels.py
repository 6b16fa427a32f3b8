from pathlib import Path
from types import SimpleNamespace

import pytest

from seewhy.cli.batches import Outcome
from seewhy.cli.run_summary import RunSummary
from seewhy.datasets.folder_labels import classes_by_folder
from seewhy.errors import TargetError
from seewhy.models import ClassNames, Prediction
from seewhy.models.class_names import imagenet


def classifier(names):
    def find_class(query):
        if names is None:
            raise TargetError("the names are not known")
        return names.find(query)

    return SimpleNamespace(name="pets", class_names=names, find_class=find_class)


def test_names_indices_and_ids_are_classes():
    folders = ["tiger_cat", "Tiger-Cat", "282", "n02123159"]
    paths = [Path("photos", folder, "1.jpg") for folder in folders]
    assert classes_by_folder(paths, classifier(imagenet())) == dict.fromkeys(folders, 282)


def test_folders_that_are_no_classes_are_listed_with_near_misses():
    paths = [Path(folder, "1.jpg") for folder in ("cat", "dgo", "holiday 2024", "dgo")]
    with pytest.raises(TargetError) as error:
        classes_by_folder(paths, classifier(ClassNames(["cat", "dog"])))
    assert str(error.value) == (
        "label_by_folder=True takes the name of an image's folder as its true class, and 2 of 3 folders do not name a "
        "class of the model 'pets': 'dgo' (did you mean 'dog'?); 'holiday 2024'. Rename them to a class's name, index "
        "or id, or leave the option out."
    )


def test_a_folder_that_may_be_two_classes():
    with pytest.raises(TargetError, match=r"'crane' \(which may be 'crane \(134\)' or 'crane \(517\)'\)"):
        classes_by_folder([Path("crane", "1.jpg")], classifier(imagenet()))
    assert classes_by_folder([Path("crane (517)", "1.jpg")], classifier(imagenet())) == {"crane (517)": 517}


def test_only_a_few_are_listed():
    paths = [Path(f"folder {number:02}", "1.jpg") for number in range(30)]
    with pytest.raises(TargetError, match=r"30 of 30 folders .*'folder 09'; \.\.\.\. Rename"):
        classes_by_folder(paths, classifier(ClassNames(["cat", "dog"])))


def test_a_model_without_class_names():
    with pytest.raises(TargetError, match=r"'cat' \(the model's class names are not known\)"):
        classes_by_folder([Path("cat", "1.jpg")], classifier(None))


def test_the_summary_counts_misclassified_images():
    summary = RunSummary(labels={"cat": 0, "dog": 1})
    for path, best in [("cat/1.png", 0), ("cat/2.png", 1), ("dog/1.png", 0), ("dog/2.png", None), ("bird/1.png", 0)]:
        predictions = [] if best is None else [Prediction(best, "name", 0.75), Prediction(1 - best, "other", 0.25)]
        explanation = SimpleNamespace(as_dict=dict, predictions=predictions)
        summary.add_explanations(Outcome(Path(path), [explanation], [[]]))
    assert "misclassified: 2 of 3 images" in list(summary.lines(Path("out")))
    assert list(RunSummary().problems()) == []


def test_unknown_folders_are_an_error_before_any_image_is_explained(run, tmp_path, examples):
    folder = tmp_path / "tiger_catt"
    folder.mkdir()
    (folder / "cat.png").write_bytes((examples / "cat.png").read_bytes())
    out = tmp_path / "out"
    code, _, err = run("explain", folder, "--format", "html", "--label-by-folder", "--out", out)
    assert code == 2
    assert "'tiger_catt' (did you mean 'tiger cat'" in err
    assert not out.exists()
