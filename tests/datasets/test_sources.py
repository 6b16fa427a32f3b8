"""Every kind of source gives the same images, in chunks that are read independently; damage costs what it hits."""

import io
import os
import tarfile
import zipfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datasets
from seewhy.datasets import hugging_face_source
from seewhy.datasets.decoding import decode
from seewhy.datasets.find_source import SourceOptions, check_apart, find_source
from seewhy.errors import ImageError, ImageNotFoundError, OptionError
from seewhy.images.reading import read

CHUNK = 3
BARE = {"use_dictionary": False, "write_statistics": False}


def files_of(photos):
    return sorted(photos.glob("*/*.png"))


def write_tar(path, files, *, end=True):
    with tarfile.open(path, "w") as archive:
        for file in files:
            archive.add(file, arcname=f"{file.parent.name}-{file.name}")
            label = tarfile.TarInfo(f"{file.parent.name}-{file.stem}.cls")
            label.size = 3
            archive.addfile(label, io.BytesIO(file.parent.name.encode()))
    if not end:
        path.write_bytes(path.read_bytes().rstrip(b"\0"))


def as_folder(photos, _):
    return photos, {"label_by_folder": True}


def as_glob(photos, _):
    return f"{photos}/*/*.png", {"label_by_folder": True}


def as_text(photos, _):
    path = photos.parent / "list.txt"
    path.write_text("\n".join(str(file.relative_to(photos.parent)) for file in files_of(photos)))
    return path, {"label_by_folder": True}


def as_csv(photos, tmp_path):
    rows = [f"{file.parent.name},{file}" for file in files_of(photos)]
    (tmp_path / "list.csv").write_text("\n".join(["Class,Path", *rows]))
    return tmp_path / "list.csv", {}


def as_parquet(photos, tmp_path):
    files = files_of(photos)
    columns = {
        "label": [file.parent.name for file in files],
        "jpeg": [file.read_bytes() for file in files],
        "id": [f"n{number}" for number in range(len(files))],
    }
    (tmp_path / "tables").mkdir()
    for number, rows in enumerate((slice(0, 12), slice(12, 20))):
        table = pa.table({name: values[rows] for name, values in columns.items()})
        pq.write_table(table, tmp_path / "tables" / f"{number}.parquet", row_group_size=5)
    return tmp_path / "tables", {"key_column": "id"}


def as_shards(photos, tmp_path):
    files = files_of(photos)
    write_tar(tmp_path / "0.tar", files[:12])
    write_tar(tmp_path / "1.tar", files[12:])
    return f"{tmp_path}/*.tar", {}


def as_saved_dataset(photos, tmp_path):
    files = files_of(photos)
    features = datasets.Features({"class": datasets.ClassLabel(names=["cat", "dog"]), "photo": datasets.Image()})
    columns = {"class": [file.parent.name for file in files], "photo": [str(file) for file in files]}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "saved")
    return f"{hugging_face_source.PREFIX}{tmp_path / 'saved'}", {}


def as_url(photos, _):
    memory = fsspec.filesystem("memory")
    for file in [*files_of(photos), photos / "notes.txt"]:
        memory.pipe(f"/sources/{file.relative_to(photos)}", file.read_bytes())
    return "memory://sources", {"label_by_folder": True}


@pytest.mark.parametrize("make", [as_folder, as_glob, as_text, as_csv, as_parquet, as_shards, as_saved_dataset, as_url])
def test_every_source_gives_the_same_images_in_chunks_that_are_read_independently(make, photos, tmp_path):
    name, options = make(photos, tmp_path)
    source = find_source(name, CHUNK, SourceOptions(**options))
    again = find_source(name, CHUNK, SourceOptions(**options))
    assert source.fingerprint == again.fingerprint
    records = {}
    for chunk in reversed(source.chunks):
        found = list(chunk.records())
        assert (len(found), found[0].position) == (chunk.count, chunk.start)
        assert chunk.count <= CHUNK
        records |= {record.position: record for record in found}
    assert sorted(records) == list(range(20))
    assert len({record.key for record in records.values()}) == 20
    for position, file in enumerate(files_of(photos)):
        np.testing.assert_array_equal(decode(records[position]), read(file))
        assert records[position].label == file.parent.name


def errors_of(source):
    """Return the message of each record that is an error, by its key, and the number of the others."""
    errors, readable = {}, 0
    for record in (record for chunk in source.chunks for record in chunk.records()):
        try:
            decode(record)
            readable += 1
        except ImageError as error:
            errors[record.key] = str(error)
    assert len(errors) + readable == source.count
    return errors, readable


def test_a_list_may_name_missing_files_and_files_twice(photos, tmp_path):
    first = files_of(photos)[0]
    (tmp_path / "list.txt").write_text(f"{first}\n\nnone.png\n{first}\n{photos}\n")
    source = find_source(tmp_path / "list.txt", 2)
    errors, readable = errors_of(source)
    assert readable == 1
    assert errors["none.png"] == f"There is no image at {tmp_path}/none.png."
    assert errors[str(first)].endswith("is listed twice; it is explained as image 1 of the list.")
    assert "Is a directory" in errors[str(photos)]


def test_a_list_is_read_as_it_was_written_and_each_row_of_it_becomes_a_record(photos, tmp_path):
    first, second, third = files_of(photos)[:3]
    for number, file in enumerate((first, second)):
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as archive:
            archive.write(file, "a.png")
    (tmp_path / "a, b\u2028.png").symlink_to(third)
    fsspec.filesystem("memory").pipe("/listed.png", first.read_bytes())
    archives = [f"zip://a.png::{tmp_path}/{number}.zip" for number in range(2)]
    rows = [*archives, '"a, b\u2028.png"', "memory://listed.png", "nowhere://x.png", "", str(first), "C:\\a.png"]
    text = "\r\n".join(["path,label", *(f"{row},cat" for row in rows)])
    (tmp_path / "list.csv").write_bytes(text.encode("utf-16"))
    records = [record for chunk in find_source(tmp_path / "list.csv", 16).chunks for record in chunk.records()]
    for record, file in zip(records, (first, second, third, first), strict=False):
        np.testing.assert_array_equal(decode(record), read(file))
    np.testing.assert_array_equal(decode(records[6]), read(first))
    assert [record.label for record in records] == ["cat"] * 8
    assert errors_of(find_source(tmp_path / "list.csv", 3))[0] == {
        "nowhere://x.png": "nowhere://x.png is no URL that fsspec knows: Protocol not known: nowhere.",
        "row 6": "row 6 of the list names no image.",
        "C:\\a.png": f"There is no image at {tmp_path}/C:\\a.png.",
    }


def test_whatever_a_remote_file_system_raises_concerns_its_image(photos, monkeypatch):
    source = find_source(as_url(photos, None)[0], CHUNK)

    def fail(*_, **__):
        raise RuntimeError("the payload is not complete")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "_open", fail)
    errors, readable = errors_of(source)
    assert readable == 0
    assert errors["cat/00.png"] == "/sources/cat/00.png cannot be read: the payload is not complete."


def test_what_is_named_like_an_image_has_a_record(photos, tmp_path):
    (tmp_path / "a.png").symlink_to(files_of(photos)[0])
    (tmp_path / "broken.png").symlink_to("none")
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "again").symlink_to(tmp_path)
    errors, readable = errors_of(find_source(tmp_path, CHUNK))
    assert (sorted(errors), readable) == (["broken.png", "loop.png", "pipe.png"], 1)
    assert "it is a FIFO" in errors["pipe.png"]


def test_the_output_is_never_part_of_the_source(photos, tmp_path):
    folder, _ = as_parquet(photos, tmp_path)
    count = find_source(folder, CHUNK).count
    pq.write_table(pa.table({"text": ["a"]}), folder / "out.parquet")
    (folder / "out").mkdir()
    (folder / "out.parquet").rename(folder / "out" / "part.parquet")
    for name in (folder, f"{folder}/**/*.parquet", f"file://{folder}"):
        assert find_source(name, CHUNK, outside=folder / "out").count == count
    for outside in (tmp_path, folder / ".." / ".."):  # the source is in the output folder
        assert find_source(f"{photos}/*/*.png", CHUNK, outside=outside).count == 20
    with pytest.raises(OptionError, match="is the folder of the images"):
        check_apart(str(photos), photos / "." / "")


def test_a_file_that_was_written_again_changes_the_source(photos, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(files_of(photos)[0].read_bytes())
    (tmp_path / "list.txt").write_text("photos/a.png")
    names = (tmp_path / "photos", tmp_path / "list.txt", f"file://{tmp_path}/photos", f"{tmp_path}/photos/*.png")
    before = [find_source(name, CHUNK).fingerprint for name in names]
    os.utime(tmp_path / "photos" / "a.png", (1, 1))
    for name, fingerprint in zip(names, before, strict=True):
        assert find_source(name, CHUNK).fingerprint != fingerprint


@pytest.mark.parametrize("share", [0.35, 0.5, 0.9])
def test_an_archive_that_is_cut_short_loses_its_end_only(photos, tmp_path, share):
    files = files_of(photos)
    write_tar(tmp_path / "0.tar", files)
    content = (tmp_path / "0.tar").read_bytes().rstrip(b"\0")
    (tmp_path / "0.tar").write_bytes(content[: int(len(content) * share)])
    write_tar(tmp_path / "1.tar", files[:2])
    errors, readable = errors_of(find_source(f"{tmp_path}/*.tar", CHUNK))
    assert list(errors) == ["0.tar"]
    assert "is cut short or damaged after" in errors["0.tar"]
    with tarfile.open(fileobj=io.BytesIO(content + bytes(2048))) as archive:
        members = [member for member in archive if member.name.endswith(".png")]
    complete = sum(member.offset_data + member.size <= int(len(content) * share) for member in members)
    assert readable == 2 + complete


def test_hostile_archives_cost_no_memory_and_reach_no_other_file(photos, tmp_path):
    image = files_of(photos)[0].read_bytes()
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for name, kind, size in (
            ("../../escaped.png", tarfile.REGTYPE, None),
            ("link.png", tarfile.SYMTYPE, 0),
            ("device.png", tarfile.CHRTYPE, 0),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, "/etc/passwd", len(image) if size is None else size
            archive.addfile(member, io.BytesIO(image))
    (tmp_path / "1.tar").write_bytes(header("big.png", 2**40) + image)
    (tmp_path / "2.tar").write_bytes(header("././@LongLink", 2**33, kind=b"L") + bytes(1024))
    (tmp_path / "3.tar").write_bytes(b"no archive" * 100)
    errors, readable = errors_of(find_source(f"{tmp_path}/*.tar", CHUNK))
    assert readable == 1
    assert sorted(errors) == ["1.tar", "2.tar", "3.tar"]
    assert not (tmp_path.parent.parent / "escaped.png").exists()
    assert "a header of 8,589,934,592 bytes is refused" in errors["2.tar"]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_with_several_dots_and_long_names_are_samples_of_their_own(photos, tmp_path, form):
    contents, deep = [file.read_bytes() for file in files_of(photos)[:6]], "deep/" * 60
    names = ["a.2020.png", "a.2021.png", "a.2022.png", f"{deep}b.png", f"{deep}b.mask.png", "c.left.JPG"]
    with tarfile.open(tmp_path / "0.tar", "w", format=form) as archive:
        for name, content in zip(names, contents, strict=True):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    for chunk_size in (1, 2, 6):
        chunks = find_source(tmp_path / "0.tar", chunk_size).chunks
        records = [record for chunk in chunks for record in chunk.records()]
        keys = ["a.2020", "a.2021", "a.2022", f"{deep}b", "c.left"]
        assert [record.key for record in records] == [f"0.tar/{key}" for key in keys]
        assert [record.image.content for record in records] == [*contents[:4], contents[5]]


def header(name, size, kind=b"0"):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def test_keys_that_are_there_twice_are_errors(photos, tmp_path):
    files = files_of(photos)
    write_tar(tmp_path / "0.tar", [*files[:3], files[0]])
    errors, readable = errors_of(find_source(tmp_path / "0.tar", 2))
    assert (readable, errors) == (
        3,
        {"0.tar/cat-00": "0.tar/cat-00 is in the archive twice; the first one is explained."},
    )
    columns = {"image": [file.read_bytes() for file in files[:6]], "id": [1, 2, 1, 3, None, None]}
    pq.write_table(pa.table(columns), tmp_path / "keys.parquet")
    source = find_source(tmp_path / "keys.parquet", 2, SourceOptions(key_column="id"))
    assert errors_of(source) == ({"1": "1 is the key of an earlier row, which is explained."}, 5)
    assert [record.key for record in source.chunks[2].records()] == ["keys.parquet:4", "keys.parquet:5"]
    pq.write_table(
        pa.table({"image": columns["image"][:3], "label": [1.0, None, float("nan")]}), tmp_path / "b.parquet"
    )
    (chunk,) = find_source(tmp_path / "b.parquet", 3).chunks
    assert [record.label for record in chunk.records()] == ["1", None, None]  # as pandas writes 1 and two missing ones


def test_a_damaged_table_costs_the_rows_that_cannot_be_read(photos, tmp_path):
    files = files_of(photos)
    table = pa.table({"image": [file.read_bytes() for file in files]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=5, compression="none", **BARE)
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    place = content.index(files[5].read_bytes()) - 40
    content[place : place + 36] = bytes([255]) * 36  # the header of the page of the second row group
    (tmp_path / "a.parquet").write_bytes(content)
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no table")
    errors, readable = errors_of(find_source(f"{tmp_path}/*.parquet", CHUNK))
    assert readable == 15
    assert list(errors) == [f"a.parquet:{row}" for row in range(5, 10)] + ["b.parquet"]
    assert "is damaged" in errors["a.parquet:5"]


def test_what_is_no_source_is_refused(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    pq.write_table(pa.table({"text": ["a"], "number": [1]}), tmp_path / "text.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array([b"a"])] * 2, ["image"] * 2), tmp_path / "twice.parquet")
    (tmp_path / "wide.txt").write_bytes("a.png".encode("utf-16-le"))
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    (tmp_path / "shard.tar.gz").write_bytes(b"")
    (tmp_path / "bad.parquet").write_bytes(b"no table")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9.png")
    refused = [
        (tmp_path / "empty", {}, ImageNotFoundError, "contains no images"),
        (tmp_path / "none", {}, ImageNotFoundError, "There is no image at"),
        (tmp_path / "none.txt", {}, ImageNotFoundError, "There is no file at"),
        ("memory://nothing", {}, ImageNotFoundError, "There is no file at memory://nothing"),
        ("nowhere://x", {}, OptionError, "no URL that fsspec knows"),
        (tmp_path / "text.parquet", {}, OptionError, r"no column with bytes of images: it has text \(string\), number"),
        (tmp_path / "text.parquet", {"image_column": "text"}, OptionError, "is string; expected bytes"),
        (tmp_path / "list.csv", {}, OptionError, "no column of paths of images: it has a, b"),
        (tmp_path / "list.csv", {"image_column": "c"}, OptionError, "has no column 'c'"),
        (tmp_path / "shard.tar.gz", {}, OptionError, "is compressed"),
        (tmp_path / "bad.parquet", {}, ImageError, "is no Parquet file, or damaged"),
        (tmp_path / "latin.txt", {}, OptionError, "not text in UTF-8"),
        (tmp_path / "wide.txt", {}, OptionError, "null characters. Save it as text in UTF-8"),
        (tmp_path / "twice.parquet", {}, OptionError, "several columns 'image'"),
        (photos, {"key_column": "id"}, OptionError, "key_column= does not apply"),
        (f"hf:{tmp_path / 'none'}", {}, ImageNotFoundError, "There is no data set"),
        (f"hf:{photos}", {}, ImageError, "is not a folder that Dataset.save_to_disk wrote"),
    ]
    for name, options, error, message in refused:
        with pytest.raises(error, match=message):
            find_source(name, CHUNK, SourceOptions(**options))
