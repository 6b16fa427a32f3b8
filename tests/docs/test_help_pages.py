"""The pages of help name errors that exist, and link to pages that exist; `llms.txt` lists every page."""

import ast
import re

import pytest
from docs_build.images import ROOT
from docs_build.llms import summary_of, toctree, write_llms

DOCS = ROOT / "docs"
HEADING = re.compile(r"^### `(.+)`$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+\.md)(?:#[^)]*)?\)")


def constant_texts():
    """Return the texts of the source code; what a message fills in is an ellipsis."""
    texts = []
    for path in sorted((ROOT / "src" / "seewhy").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(each.value if isinstance(each, ast.Constant) else "..." for each in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_every_message_of_the_troubleshooting_page_is_one_of_the_source():
    texts, page = constant_texts(), (DOCS / "troubleshooting.md").read_text("utf-8")
    fragments = [fragment.strip() for message in HEADING.findall(page) for fragment in message.split("...")]
    assert len(fragments) > 40
    assert [fragment for fragment in fragments if fragment and fragment not in texts] == []


@pytest.mark.parametrize("name", ["help", "faq", "troubleshooting", "comparison", "citing"])
def test_links_lead_to_pages_and_pages_are_in_the_contents(name):
    page = DOCS / f"{name}.md"
    links = LINK.findall(page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).is_file()] == []
    assert page in [*toctree(DOCS / "index.md"), *toctree(DOCS / "help.md")]


def test_the_first_page_lists_every_tutorial_guide_and_part_of_the_reference():
    linked = {(DOCS / link).resolve() for link in LINK.findall((DOCS / "index.md").read_text("utf-8"))}
    pages = {page for folder in ("tutorials", "howto", "reference") for page in (DOCS / folder).glob("*.md")}
    assert sorted(page.relative_to(DOCS).as_posix() for page in pages - linked) == ["reference/index.md"]
    tutorials = [page for page in (DOCS / "tutorials").glob("*.md") if page.name != "index.md"]
    assert len(tutorials) == 10
    assert "[Ten tutorials]" in (ROOT / "README.md").read_text("utf-8")


def test_llms_txt_lists_every_page(tmp_path):
    pages = {path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    for path in pages:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((DOCS / path).read_text("utf-8"), "utf-8")
    write_llms(tmp_path)
    text = (tmp_path / "llms.txt").read_text("utf-8")
    linked = set(re.findall(r"^- \[.*?\]\((.*?\.html)\)", text, re.MULTILINE))
    assert linked == {str(path.with_suffix(".html")) for path in pages} - {"index.html"}
    assert text.startswith("# SeeWhy\n\n> SeeWhy makes Grad-CAM heatmaps")
    assert "- [Choose a layer](howto/choose-a-layer.html): A heatmap belongs to one layer.\n" in text


def test_the_first_sentence_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```sh\nseewhy --help\n```\n\nSee [that page](that.md) for `a.b`. And more.\n", "utf-8")
    assert summary_of(page) == "See that page for `a.b`."
    page.write_text("# Title\n\n- a list.\n", "utf-8")
    assert summary_of(page) == ""
