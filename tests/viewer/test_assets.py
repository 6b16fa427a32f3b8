import re

import pytest

from seewhy.viewer.assets import ASSETS, bundle, style_sheet

MODULES = sorted(path.name for path in ASSETS.glob("*.js"))
TOP_LEVEL = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)


def test_the_viewer_has_only_modules_and_style_sheets():
    assert {path.suffix for path in ASSETS.iterdir()} == {".js", ".css"}
    assert {"viewer.js", "report.js", "widget.js"} <= set(MODULES)


def test_modules_define_different_names():
    """In a bundle, all modules share one scope."""
    names = [name for module in MODULES for name in TOP_LEVEL.findall((ASSETS / module).read_text("utf-8"))]
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
    assert "/**" not in code
    assert "//" in code  # a comment within a function stays
    assert code.index("function createElement(") < code.index("function createPane(") < code.index("function mount(")


def test_nothing_is_loaded_from_elsewhere():
    for path in ASSETS.iterdir():
        assert not re.search(
            r"https?:|//cdn|@import|url\(|fetch\(|XMLHttpRequest|innerHTML", path.read_text("utf-8")
        ), path


def rules():
    """Yield the media query, the selector and the declarations of each rule of the style sheets."""
    for path in sorted(ASSETS.glob("*.css")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        media, plain = re.compile(r"(@media [^{]+)\{((?:[^{}]*\{[^{}]*\})*)\s*\}"), text
        for query, content in [*media.findall(text), ("", media.sub("", plain))]:
            for selector, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", content):
                lines = frozenset(" ".join(line.split()) for line in declarations.split(";") if line.strip())
                yield query.strip(), " ".join(selector.split()), lines


def test_no_css_is_written_twice():
    """No selector has two rules, no three declarations are repeated, and the colours are in one place."""
    found = list(rules())
    assert len(found) > 150
    selectors = [(query, selector) for query, selector, _ in found]
    assert sorted(selectors) == sorted(set(selectors))
    longer = [(query, lines) for query, _, lines in found if len(lines) >= 3]
    assert len(longer) == len(set(longer))
    palettes = [selector for _, selector, lines in found if any(line.startswith("--muted:") for line in lines)]
    assert palettes == [".seewhy, .seewhy-colors"] * 2  # light and dark


def test_every_css_rule_applies_to_the_viewer_only():
    selectors = re.findall(r"^([^\s@/}][^{]*)\{", style_sheet("viewer.css"), re.MULTILINE)
    assert len(selectors) > 40
    assert all(part.strip().startswith(".seewhy") for selector in selectors for part in selector.split(","))
