"""The pages of docs/methods have one format and agree with the table of methods and the navigation."""

import re
from itertools import chain

import pytest
from docs_build.images import COMMAND, ROOT

from seewhy.methods.table import METHODS

FOLDER = ROOT / "docs" / "methods"
SECTIONS = ["What it computes", "Options", "When to use it", "Limits", "Cost", "Example"]
FACT = re.compile(r"^- \*\*(\w+)\*\*: (.*?)(?=^- |\n\n)", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^\| `(\w+)` \| `([^`]*)` \|", re.MULTILINE)


def read_page(name):
    return (FOLDER / f"{name}.md").read_text("utf-8")


def facts_of(page):
    return {key: " ".join(value.split()) for key, value in FACT.findall(page)}


def section(page, title):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0].strip()


def test_every_method_has_a_page_and_every_page_a_method():
    assert {path.stem for path in FOLDER.glob("*.md")} == {*METHODS, "index"}


@pytest.mark.parametrize("name", METHODS)
def test_a_page_has_the_format(name):
    page = read_page(name)
    assert page.startswith(f"# {METHODS[name].title}\n\n")
    assert list(facts_of(page)) == ["Name", "Family", "Level", "Paper"]
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS
    assert section(page, "What it computes").startswith("```text\n")
    assert all(section(page, title) for title in SECTIONS)


@pytest.mark.parametrize("name", METHODS)
def test_a_page_says_what_the_table_says(name):
    method, page = METHODS[name], read_page(name)
    facts = facts_of(page)
    assert facts["Name"] == f"`{name}`"
    assert facts["Level"] == method.level
    if re.fullmatch(r"\d{4}\.\d{4,5}", method.paper):
        assert f"https://arxiv.org/abs/{method.paper}" in facts["Paper"]
    else:
        assert f"arXiv {method.paper}" not in facts["Paper"]


@pytest.mark.parametrize("name", METHODS)
def test_a_page_lists_the_options_with_their_defaults(name):
    options = section(read_page(name), "Options")
    listed = {option: default.replace('"', "'") for option, default in OPTION.findall(options)}
    assert listed == {option: repr(default) for option, default in METHODS[name].options.items()}
    assert bool(listed) != (options == "None.")


@pytest.mark.parametrize("name", METHODS)
def test_the_example_makes_the_image_on_the_page(name):
    example = section(read_page(name), "Example")
    if METHODS[name].family == "attention":  # the model of the images is no transformer: the page builds one
        assert f'method="{name}")' in example
        return
    ((arguments, folder),) = COMMAND.findall(example)
    assert f"--method {name} " in arguments
    assert f"](../{folder.removeprefix('docs/')}/cat_{name}.png)" in example


def test_the_overview_and_the_navigation_group_methods_by_family():
    overview = read_page("index")
    groups = re.findall(r":caption: (\w+) methods\n\n((?:.+\n)+?)```", overview)
    by_family = {}
    for family, rows in groups:
        by_family[family.lower()] = rows.split()
        assert rows.split() == re.findall(r"^\| \[`(.*)`\]", section(overview, f"{family} methods"), re.MULTILINE)
    assert sorted(chain(*by_family.values())) == sorted(METHODS)
    for family, names in by_family.items():
        assert {facts_of(read_page(name))["Family"] for name in names} == {family}
