"""The pages of docs/evaluate have one format and agree with the table of metrics and the navigation."""

import pytest
from docs_build.images import ROOT

from seewhy.evaluate import METRICS

FOLDER = ROOT / "docs" / "evaluate"
SECTIONS = ["What it computes", "What it tells", "What it does not tell", "How it can be gamed"]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_page_says_what_the_table_says(metric):
    text = (FOLDER / f"{metric.name}.md").read_text("utf-8")
    assert text.startswith(f"# {metric.title}\n")
    facts = (f"**Name**: `{metric.name}`", f"**Family**: {metric.family}", f"arxiv.org/abs/{metric.paper})")
    better = f"**Better**: {'higher' if metric.higher_is_better else 'lower'}"
    assert all(fact in text for fact in (*facts, better))
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")][:4] == SECTIONS
    # The docstring says the same direction.
    assert f"{'Higher' if metric.higher_is_better else 'Lower'} is better" in _joined(metric.function.__doc__) or (
        "whose arguments these are" in metric.function.__doc__
    )


def test_the_index_lists_every_metric():
    text = (FOLDER / "index.md").read_text("utf-8")
    listed = text[text.index("```{toctree}") :].split()
    assert [name for name in listed if name in METRICS] == list(METRICS)
    assert {path.stem for path in FOLDER.glob("*.md")} >= {"index", *METRICS}
    for metric in METRICS.values():
        direction = "higher" if metric.higher_is_better else "lower"
        assert f"[{metric.title}]({metric.name}.md) | `{metric.name}` | {direction} | {metric.needs} |" in text


def _joined(text):
    return " ".join(text.split())
