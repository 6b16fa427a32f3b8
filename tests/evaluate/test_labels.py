"""True classes of images, from folders and tables."""

import pytest

from seewhy.errors import InputError, TargetError
from seewhy.evaluate.labels import labels_by_folder, labels_from_table
from seewhy.models import ClassNames

NAMES = ["cat/1.png", "cat/2.png", "dog/1.png", "owl/3.png"]


class Classifier:
    name = "net"
    class_names = ClassNames(["dog", "cat"])

    def find_class(self, query):
        return self.class_names.find(query)


def test_folders_that_name_no_class_are_problems_of_their_images():
    labels = labels_by_folder(NAMES, Classifier())
    assert labels.classes == {"cat/1.png": 1, "cat/2.png": 1, "dog/1.png": 0}
    assert labels.problems == {"owl/3.png": "the folder 'owl' is not a class of the model"}
    with pytest.raises(TargetError, match="No folder of the images is a class of the model 'net': 'owl'"):
        labels_by_folder(["owl/3.png"], Classifier())


def test_a_table_names_images_by_their_paths_or_unique_files(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("\ufefflabel,image,note\ndog,dog/1.png,x\nct,2.png,\n1,cat\\1.png,\ncat,1.png,\ncat,9.png,\n")
    labels = labels_from_table(path, NAMES, Classifier())
    assert labels.classes == {"dog/1.png": 0, "cat/1.png": 1}
    assert labels.problems == {"cat/2.png": "the label 'ct' is not a class of the model. Did you mean 'cat'?"}
    assert (labels.missing, labels.unused) == (["owl/3.png"], ["1.png", "9.png"])  # two images are named 1.png


def test_an_image_with_different_labels_has_none(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image,label\ncat/1.png,cat\ncat/1.png,dog\ncat/2.png,cat\ncat/2.png,cat\n")
    labels = labels_from_table(path, NAMES, Classifier())
    assert labels.classes == {"cat/2.png": 1}
    assert labels.problems == {"cat/1.png": "it has several labels: 'cat', 'dog'"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("a,b,c\n1,2,3\n", "The columns of .* are 'a, b, c'; expected image and label"),
        ("image,label\n1.png\n", "A row of .* has 1 columns"),
        ("image,label\nelse.png,cat\n", "has a label for none of the 4 images. The first row names 'else.png'"),
    ],
)
def test_tables_that_are_none(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        labels_from_table(path, NAMES, Classifier())
