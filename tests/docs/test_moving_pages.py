"""What the pages of `docs/moving` translate terms into exists; `tests/oracles/peers` runs their code."""

import functools
import importlib
import re

import pytest
from docs_build.images import ROOT

from seewhy.evaluate.table import METRICS
from seewhy.methods import METHODS

PAGES = sorted(page for page in (ROOT / "docs" / "moving").glob("*.md") if page.stem != "index")
NAME = re.compile(r"\bseewhy((?:\.[A-Za-z_]\w*)+)")
CLASS_TABLE = re.compile(r"^\| class \| method \|.*\n\| --- .*\n((?:\|.*\n)+)", re.MULTILINE)
METRICS_ROW = re.compile(r"^\|.*\[metrics\]\(\.\./evaluate/index\.md\):(.*)\|$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_seewhy_exist(page):
    names = set(NAME.findall(page.read_text("utf-8")))
    assert names
    for name in names:
        functools.reduce(getattr, name.strip(".").split("."), importlib.import_module("seewhy"))


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "keras-recipe"], ids=lambda page: page.stem)
def test_methods_and_metrics_exist(page):
    text = page.read_text("utf-8")
    (rows,) = CLASS_TABLE.findall(text)
    methods = {name for row in rows.splitlines() for name in CODE.findall(row.split("|")[2])}
    assert len(methods) >= 5
    assert methods <= set(METHODS)
    assert {name for row in METRICS_ROW.findall(text) for name in CODE.findall(row)} <= set(METRICS)
