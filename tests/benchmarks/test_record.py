"""What is kept of a run, and the page that is made of it."""

import json

import pytest
from benchmarks.__main__ import BENCHMARKS
from benchmarks.record import MARKER, compact, describe_machine, results_missing, to_text
from docs_build import costs

RESULT = {
    "title": "What it costs",
    "date": "2026-11-23",
    "where": "here",
    "rows": [{"": "PyTorch, VGG16", "ratio": "1.05 (1.03 to 1.08)"}, {"": "Keras|JAX", "ratio": "2"}],
    "figures": [
        {"tool": "forward"},
        {"tool": "seewhy", "ms": [1, 2, 3]},
        {"tool": "captum", "ms": [2, 3, 4], "seewhy": [1, 2, 3]},
    ],
    "measured": {"ms": [1.0] * 1000},
}


@pytest.fixture
def record():
    """As it is read back from its file."""
    found = {"machine": describe_machine(), "results": {"growth-batch": compact(RESULT, "growth-batch")}}
    return json.loads(to_text(found))


def test_the_record_has_the_figures_and_no_single_times(record):
    kept = record["results"]["growth-batch"]
    assert kept["command"] == "python -m benchmarks.growth"
    assert "measured" not in kept
    assert costs.rows_of(record, "growth-batch") == [
        {"tool": "seewhy", "ms": [1, 2, 3], "seewhy": None},
        {"tool": "captum", "ms": [2, 3, 4], "seewhy": [1, 2, 3]},
    ]


def test_each_row_has_a_line_of_its_own(record):
    assert '\n["PyTorch, VGG16","1.05 (1.03 to 1.08)"],\n["Keras|JAX","2"]' in to_text(record)


def test_a_marker_is_replaced_by_its_table_and_the_command(record):
    page = costs.fill_tables("Before.\n\n<!-- measured: growth-batch -->\n\nAfter.", record, "costs.md")
    assert page.splitlines() == [
        "Before.",
        "",
        "|  | ratio |",
        "| --- | ---: |",
        "| PyTorch, VGG16 | 1.05 (1.03 to 1.08) |",
        "| Keras\\|JAX | 2 |",
        "",
        "*What it costs.* Measured by `python -m benchmarks.growth` on 2026-11-23.",
        "",
        "After.",
    ]


def test_a_table_stands_as_far_in_as_its_marker(record):
    page = costs.fill_tables('??? info "Numbers"\n\n    <!-- measured: growth-batch -->', record, "costs.md")
    assert page.splitlines()[2:4] == ["    |  | ratio |", "    | --- | ---: |"]


def test_what_is_not_recorded_yet_is_said_and_no_failure(record):
    page = costs.fill_tables("<!-- measured: cost-batch -->", record, "costs.md")
    assert page == "*Not recorded yet: `python -m benchmarks.cost` measures this.*"


def test_a_marker_of_no_benchmark_fails(record):
    with pytest.raises(
        RuntimeError, match=r"costs\.md: the record has no result 'costs'.+The record has: machine, growth-batch\."
    ):
        costs.fill_tables("<!-- measured: costs -->", record, "costs.md")


def test_a_run_that_lacks_what_the_page_shows_is_not_recorded():
    page = "<!-- measured: machine -->\n\n<!-- measured: shapes -->\n\n    <!-- measured: cost -->"
    assert results_missing(page, ["cost", "start"]) == ["shapes"]
    assert results_missing(page, ["cost", "shapes"]) == []


def test_the_machine_is_described(record):
    told = costs.fill_tables("<!-- measured: machine -->", record, "costs.md")
    assert f"- {record['machine']['cores']} cores of a processor" in told
    assert f"Python {record['machine']['python']}" in told


def test_the_page_shows_every_benchmark_and_nothing_else():
    page = (costs.ROOT / "docs" / "costs.md").read_text("utf-8")
    kept = costs.read_record()
    assert "<!-- measured" not in costs.fill_tables(page, kept, "costs.md")
    benchmarks = {name.partition("-")[0] for name in MARKER.findall(page)} - {"machine"}
    assert benchmarks - set(BENCHMARKS) == {"attention"}  # which is recorded apart
    assert set(BENCHMARKS) - benchmarks == set()
    shown = set(costs.re.findall(r"\(images/measured/([\w-]+)\.svg\)", page))
    assert shown == {name for name in costs.PLOTS if name in kept["results"]}
