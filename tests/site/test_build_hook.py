"""The build hook brings ONNX Runtime Web, or says why it cannot, and takes nothing but the pinned package."""

import base64
import hashlib
import importlib.util
import io
import tarfile
from pathlib import Path

import pytest
from tests.site.conftest import serving

from seewhy.site import browser_runtime

SCRIPT = Path(__file__).parents[2] / "hatch_build.py"


@pytest.fixture
def hook(monkeypatch, tmp_path):
    """The hook's module, with a small package in a registry of this machine, and another folder for its files."""
    spec = importlib.util.spec_from_file_location("hatch_build", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    package = io.BytesIO()
    with tarfile.open(fileobj=package, mode="w:gz") as archive:
        for name in module.FILES:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    path = tmp_path / "registry" / module.PACKAGE / "-" / f"{module.PACKAGE}-{module.VERSION}.tgz"
    path.parent.mkdir(parents=True)
    path.write_bytes(package.getvalue())
    monkeypatch.setattr(module, "SHA512", base64.b64encode(hashlib.sha512(package.getvalue()).digest()).decode())
    monkeypatch.setattr(module, "FOLDER", tmp_path / "runtime")
    monkeypatch.setattr(module.shutil, "which", lambda _: None)  # without npm
    with serving(tmp_path / "registry") as url:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", url)
        yield module


def test_the_files_are_brought_once(hook, monkeypatch):
    hook.bring()
    assert [(hook.FOLDER / name).read_text() for name in hook.FILES] == list(hook.FILES)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:1")
    hook.bring()
    monkeypatch.setattr(hook, "VERSION", "0.0.0")
    with pytest.raises(hook.RuntimeUnavailableError, match=r"http://127.0.0.1:1/onnxruntime-web/.* cannot be read"):
        hook.bring()


def test_another_package_is_refused(hook, monkeypatch):
    monkeypatch.setattr(hook, "SHA512", "other")
    with pytest.raises(hook.RuntimeUnavailableError, match="another SHA-512"):
        hook.bring()
    assert not hook.FOLDER.exists()


def test_a_failure_of_npm_is_said(hook, monkeypatch, tmp_path):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'E404: no such package' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(hook.shutil, "which", lambda _: str(npm))
    with pytest.raises(hook.RuntimeUnavailableError, match="npm failed: E404"):
        hook.bring()


def test_only_addresses_of_the_web_are_read(hook, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "file:///etc")
    with pytest.raises(hook.RuntimeUnavailableError, match="not an address of the web"):
        hook.bring()


def test_the_package_and_the_library_agree_on_names(hook):
    """One is read where the other is not installed."""
    assert hook.FILES == (browser_runtime.SCRIPT, browser_runtime.WASM)
    assert hook.STAMP == browser_runtime.VERSION_FILE
    spec = importlib.util.spec_from_file_location("again", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.FOLDER == browser_runtime.RUNTIME
