"""`seewhy doctor`: versions, what frameworks run on, and what is broken."""

import importlib.metadata
import json
import sys

import pytest

import seewhy
from seewhy.cli import doctor


def test_versions_and_devices_are_found(run):
    code, out, err = run("doctor", "--json")
    assert (code, err) == (0, "")
    findings = {finding["name"]: finding for finding in json.loads(out)["findings"]}
    assert findings["numpy"]["version"] == importlib.metadata.version("numpy")
    assert findings["torch"]["detail"].startswith("cpu")
    assert findings["tensorflow"]["detail"].startswith("CPU:0")
    assert "CPUExecutionProvider" in findings["onnxruntime"]["detail"]
    code, out, _ = run("doctor")
    assert code == 0
    assert any(line.split() == ["numpy", importlib.metadata.version("numpy")] for line in out.splitlines())


def test_what_is_missing_and_what_does_not_import(run, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "FRAMEWORKS", ("torch", "jax"))
    monkeypatch.setattr(doctor, "LIBRARIES", ("no-such-package",))
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so: cannot open shared object file\\nand more')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch")
    code, out, _ = run("doctor")
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    assert code == 1
    assert lines["torch"].endswith(", does not import  OSError: libtorch.so: cannot open shared object file")
    assert lines["no-such-package"].split(maxsplit=1)[1] == "not installed"


@pytest.mark.parametrize(
    ("statement", "detail"),
    [("assert False", "AssertionError: "), ("import sys; sys.exit(4)", "SystemExit: 4"), ("1 + ''", "TypeError: ")],
)
def test_a_framework_may_fail_in_any_way(monkeypatch, tmp_path, statement, detail):
    """JAX fails by an assertion where JAX_PLATFORMS=cuda is set on a machine without CUDA."""
    (tmp_path / "torch.py").write_text(statement, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch")
    found = doctor._framework("torch")
    assert not found.works
    assert found.detail.startswith(detail)


@pytest.mark.parametrize("build", ["cpu", "gpu"])
def test_builds_under_another_name(monkeypatch, build):
    monkeypatch.setattr(doctor, "version_of", lambda name: "1.2" if name == f"onnxruntime-{build}" else None)
    assert doctor._framework("onnxruntime").version == "1.2"


def test_the_json_says_what_is_missing_and_what_does_not_import(run, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "FRAMEWORKS", ("torch",))
    monkeypatch.setattr(doctor, "LIBRARIES", ("no-such-package",))
    (tmp_path / "torch.py").write_text("raise OSError('libtorch.so: cannot open shared object file')", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch")
    code, out, err = run("doctor", "--json")
    assert (code, err) == (1, "")
    content = json.loads(out)
    assert content["seewhy"] == seewhy.__version__
    findings = {finding["name"]: finding for finding in content["findings"]}
    assert findings["torch"] == {
        "group": "framework",
        "name": "torch",
        "version": importlib.metadata.version("torch"),
        "detail": "OSError: libtorch.so: cannot open shared object file",
        "works": False,
    }
    missing = {"group": "library", "name": "no-such-package", "version": None, "detail": "", "works": True}
    assert findings["no-such-package"] == missing
