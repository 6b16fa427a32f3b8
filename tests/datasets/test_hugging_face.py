"""Data sets of Hugging Face in the local cache, in the layout in which the package `datasets` keeps them."""

import os

import pytest
from datasets.packaged_modules.parquet.parquet import Parquet

import datasets
from datasets import ClassLabel, Dataset, Features, Image, Value
from seewhy.datasets.decoding import decode
from seewhy.datasets.find_source import SourceOptions, find_source
from seewhy.errors import ImageError, ImageNotFoundError, OptionError
from seewhy.images.reading import read

LABELS = ClassLabel(names=["cat", "dog"])


@pytest.fixture(scope="module")
def files(photos):
    return [photos / "cat" / "01.png", photos / "dog" / "02.png", photos / "dog" / "03.png"]


@pytest.fixture(scope="module")
def cache(files, tmp_path_factory):
    """A cache with data sets of the hub: bytes, paths, plain bytes, and one with two configurations."""
    folder = tmp_path_factory.mktemp("cache")
    contents = [file.read_bytes() for file in files]
    embedded = [{"bytes": content, "path": "a.png"} for content in contents]
    paths = [{"bytes": None, "path": str(file)} for file in files]
    columns = {"image": Image(), "label": LABELS}
    add(folder, "pets", "default", {"image": embedded, "label": [0, 1, -1]}, columns, second_split=True)
    add(folder, "paths", "default", {"image": paths, "label": [0, 1, 1]}, {**columns, "image": Image(decode=False)})
    add(
        folder,
        "plain",
        "default",
        {"pixels": contents, "id": [1, 2, 3]},
        {"pixels": Value("binary"), "id": Value("int8")},
    )
    add(folder, "several", "small", {"image": embedded, "label": [0, 1, 1]}, columns)
    add(folder, "several", "large", {"image": embedded, "label": [0, 1, 1]}, columns)
    return folder


def add(cache, name, configuration, columns, types, *, second_split=False):
    """Do what `load_dataset` does once it has downloaded Parquet files, and give the result the place that it has."""
    path = str(cache / f"{name}.parquet")
    Dataset.from_dict(columns, features=Features(types)).to_parquet(path)
    data_files = {"train": [path], **({"test": [path]} if second_split else {})}
    work = cache / f"{name}-{configuration}"
    builder = Parquet(
        cache_dir=str(work), dataset_name=name, config_name=configuration, hash="0" * 40, data_files=data_files
    )
    builder.download_and_prepare()
    (cache / f"someone___{name}").mkdir(exist_ok=True)
    os.rename(next((work / name).iterdir()), cache / f"someone___{name}" / configuration)


@pytest.fixture
def offline(cache, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def records_of(name, **options):
    return [record for chunk in find_source(name, 2, SourceOptions(**options)).chunks for record in chunk.records()]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("hf:someone/pets@train", ["cat", "dog", None]),
        ("hf:someone/paths", ["cat", "dog", "dog"]),
        ("hf:someone/plain", [None] * 3),
        ("hf:someone/several:large@train", ["cat", "dog", "dog"]),
    ],
)
def test_images_of_the_cache(files, name, labels):
    records = records_of(name)
    assert [record.label for record in records] == labels
    for record, file in zip(records, files, strict=True):
        assert (decode(record) == read(file)).all()


@pytest.mark.usefixtures("offline")
def test_what_is_not_in_the_cache(photos):
    assert find_source("hf:someone/pets@train", 2).fingerprint != find_source("hf:someone/pets@test", 2).fingerprint
    for name, options, error, message in (
        ("hf:someone/pets", {}, OptionError, r"has the splits train, test.*hf:someone/pets@train"),
        ("hf:someone/several", {}, OptionError, "multiple .* configurations.*hf:someone/several:CONFIGURATION"),
        ("hf:someone/several:huge", {}, ImageNotFoundError, r"load_dataset\('someone/several', 'huge'\)"),
        ("hf:someone/plain", {"image_column": "id"}, OptionError, "no column of images 'id'; it has pixels"),
        ("hf:nobody/nothing", {}, ImageNotFoundError, r"There is no data set 'nobody/nothing'.*Download it first"),
        ("hf:", {}, OptionError, "names no data set"),
        ("hf:@train", {}, OptionError, "names no data set"),
        (f"hf:{photos}", {}, ImageError, f"give {photos} without hf:"),
    ):
        with pytest.raises(error, match=message):
            records_of(name, **options)


def test_an_image_at_a_url_is_an_error_of_its_row(files, tmp_path):
    images = [*({"bytes": None, "path": path} for path in (str(files[0]), "https://images.org/a.png")), None]
    stored = {"bytes": Value("binary"), "path": Value("string")}
    Dataset.from_dict({"image": images}, features=Features({"image": stored})).save_to_disk(str(tmp_path / "saved"))
    first, second, third = records_of(f"hf:{tmp_path / 'saved'}")
    assert decode(first).shape == (9, 9, 3)
    with pytest.raises(ImageError, match=r"Row 1 is at https://images.org/a.png, which is not on the disk"):
        decode(second)
    with pytest.raises(ImageError, match="Row 2 has no image"):
        decode(third)
