"""A run of all benchmarks: what fails costs no more than itself, and what is read is of one run."""

import pytest
from benchmarks.__main__ import run
from benchmarks.cases import Case
from benchmarks.cases import main as cases_main
from benchmarks.results import read_results, remove_results


def test_a_benchmark_that_fails_does_not_stop_the_others(capfd):
    # Its options end each of them before it measures: one in the middle does not exist, so that Python fails.
    benchmarks = {"cost": ("--help",), "no_such_benchmark": (), "growth": ("--help",)}
    assert run(benchmarks, quick=True) == ["no_such_benchmark"]
    printed, progress = capfd.readouterr()
    assert "benchmarks.cost" in printed
    assert "benchmarks.growth" in printed
    assert "growth, 3 of 3, begins after 0." in progress
    assert "no_such_benchmark failed with status 1" in progress


def test_every_case_is_tried_and_those_that_fail_are_named(monkeypatch, capfd):
    cases = [Case("torch", "MobileNetV2"), Case("torch", "NoSuchModel"), Case("torch", "MobileNetV2", "classes")]
    published = []
    # Each is measured by `python -m benchmarks.memory --one CASE --seconds 0`, which refuses these options.
    monkeypatch.setattr("sys.argv", ["benchmarks.memory", "--seconds", "0"])
    with pytest.raises(SystemExit, match=r"Failed: PyTorch, MobileNetV2, .+ classes\. The tables are"):
        cases_main("memory", cases, lambda _, __: [], published.append, 1.0)
    assert published == []
    assert capfd.readouterr().err.count("failed with status 2") == 3


def test_the_results_of_an_earlier_run_are_removed(tmp_path):
    for name in ("cost", "runtimes-goals", "where-defaults", "attention"):
        (tmp_path / f"{name}.json").write_text("{}", encoding="utf-8")
        (tmp_path / f"{name}.md").write_text("", encoding="utf-8")
    remove_results(("where-", "attention"), tmp_path)
    assert list(read_results(tmp_path)) == ["attention", "where-defaults"]
    assert len(list(tmp_path.iterdir())) == 4
