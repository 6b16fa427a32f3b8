import re

import pytest

from seewhy.viewer.assets import ASSETS, bundle, style

MODULES = sorted(path.name for path in ASSETS.glob("*.js"))
OUTERMOST = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)


def test_the_viewer_is_modules_and_style_sheets_only():
    assert {path.suffix for path in ASSETS.iterdir()} == {".js", ".css"}
    assert {"viewer.js", "report.js", "widget.js"} <= set(MODULES)


def test_modules_share_no_name():
    """In a bundle they share one scope."""
    names = [name for module in MODULES for name in OUTERMOST.findall((ASSETS / module).read_text("utf-8"))]
    assert len(names) > 50
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("entry", ["viewer.js", "report.js", "widget.js"])
def test_a_bundle_stands_alone(entry):
    code = bundle(entry)
    assert not re.search(r"^\s*import\b|\bimport\(", code, re.MULTILINE)
    assert re.findall(r"^export .*", code, re.MULTILINE) == (
        ["export default { render };"] if entry == "widget.js" else []
    )
    assert code.count("function mount(") == 1
    assert code.index("function make(") < code.index("function makePane(") < code.index("function mount(")


def test_nothing_names_another_place():
    for path in ASSETS.iterdir():
        assert not re.search(
            r"https?:|//cdn|@import|url\(|fetch\(|XMLHttpRequest|innerHTML", path.read_text("utf-8")
        ), path


def test_every_rule_of_the_viewer_is_about_the_viewer():
    selectors = re.findall(r"^([^\s@/}][^{]*)\{", style("viewer.css"), re.MULTILINE)
    assert len(selectors) > 40
    assert all(part.strip().startswith(".seewhy") for each in selectors for part in each.split(","))
