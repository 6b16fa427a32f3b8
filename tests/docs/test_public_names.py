"""The page "Names" lists every public name, and the reference documents each."""

import inspect

import pytest
from docs_build.public_names import documented_names, insert_names, names_table, public_names

import seewhy
from seewhy import errors, methods, targets


def test_the_reference_documents_every_public_name():
    documented = documented_names()
    members = {name for name in public_names() if name.rpartition(".")[0] in documented}
    assert set(public_names()) - members == set(documented)


def test_no_public_name_is_left_out():
    listed = set(public_names())
    for name in seewhy.__all__:
        assert inspect.ismodule(getattr(seewhy, name)) or name == "SeewhyError" or f"seewhy.{name}" in listed
    for module, kind in ((errors, Exception), (targets, targets.Target)):
        classes = (value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, kind))
        assert {f"{module.__name__}.{each.__name__}" for each in classes if "seewhy" in each.__module__} <= listed
    assert {f"seewhy.methods.{name}" for name in methods.__all__} - listed == {"seewhy.methods.Runner"}
    assert {"seewhy.Explanation.overlay", "seewhy.Explainer.explain", "seewhy.ClassNames.find"} <= listed
    assert not any(part.startswith("_") for name in listed for part in name.split("."))


def test_a_row_has_a_link_and_the_first_sentence():
    rows = names_table().splitlines()
    assert "| {py:obj}`seewhy.explain` | Explain one image, volume, signal or video. |" in rows
    assert [row.count(" | ") for row in rows[2:]] == [1] * len(public_names())
    names = [row.split("`")[1].casefold() for row in rows[2:]]
    assert names == sorted(names)


def test_only_a_marker_is_replaced():
    assert insert_names("Before.\n\n<!-- names -->\n") == f"Before.\n\n{names_table()}\n"
    assert insert_names("No marker.") == "No marker."


@pytest.mark.parametrize("name", ["Explainer", "Explanation", "Style"])
def test_names_in_the_table_are_those_of_the_package(name):
    for path in public_names():
        if path.startswith(f"seewhy.{name}."):
            assert hasattr(getattr(seewhy, name), path.rpartition(".")[2])
