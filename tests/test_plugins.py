"""Methods, targets and models of other packages: the package of examples/plugin, and broken ones."""

import subprocess
import sys
import tomllib

import numpy as np
import pytest

import seewhy
from seewhy import methods, plugins
from seewhy.errors import MethodError, ModelError, SeewhyWarning, TargetError
from seewhy.methods import find

BRIGHT_LEFT = np.zeros((4, 4, 3), np.uint8)
BRIGHT_LEFT[:, :2] = 255


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install packages by their entry points, as a wheel of them would; pip itself takes seconds."""

    def install(name, groups):
        folder = tmp_path / f"{name}-0.1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
        lines = [
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in each.items()) for group, each in groups
        ]
        (folder / "entry_points.txt").write_text("\n".join(lines))

    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.find_plugins.cache_clear()
    yield install
    plugins.find_plugins.cache_clear()


@pytest.fixture
def example(install, examples, monkeypatch):
    project = tomllib.loads((examples / "plugin" / "pyproject.toml").read_text())["project"]
    monkeypatch.syspath_prepend(str(examples / "plugin" / "src"))
    install(project["name"], project["entry-points"].items())


@pytest.mark.usefixtures("example")
def test_the_example_package_adds_a_method_a_target_and_a_model():
    classifier = seewhy.load("example:bright")
    explainer = seewhy.Explainer(classifier, "activation_mean", layer="1")
    (explanation,) = explainer.explain([BRIGHT_LEFT], ["bright", "plugin:first_over_last"])
    assert (explanation.title, explanation.targets[0].name) == ("Mean activation", "bright")
    expected = np.where(BRIGHT_LEFT[..., 0] > 0, 1.5, 0.5)  # (3 + 0) / 2 where it is bright, (0 + 1) / 2 where dark
    np.testing.assert_allclose(explanation.heatmaps[0], expected, atol=1e-6)
    assert explanation.targets[1].score == pytest.approx(1.0)  # the means 1.5 and 0.5
    with pytest.raises(ModelError, match="expected example:bright"):
        seewhy.load("example:dim")


@pytest.mark.usefixtures("example")
def test_a_plug_in_that_fails_is_named_and_skipped_and_others_work(install, tmp_path):
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no licence')\n")
    names = {"broken": "broken_plugin:METHOD", "wrong": "json:dumps", "other_name": "seewhy_example:ACTIVATION_MEAN"}
    groups = [("seewhy.methods", names), ("seewhy.targets", {"broken": "broken_plugin:make", "text": "os:getcwd"})]
    install("broken-package", [*groups, ("seewhy.models", {"broken": "broken_plugin:load"})])
    assert methods.get("activation_mean").name == "activation_mean"
    for name, reason in (
        ("broken", "of the package broken-package is skipped: .*RuntimeError: no licence"),
        ("wrong", "an object of type function; expected a seewhy Method"),
        ("other_name", "its method has the name 'activation_mean'"),
    ):
        with pytest.warns(SeewhyWarning, match=reason), pytest.raises(MethodError, match="Unknown method"):
            methods.get(name)
    with pytest.warns(SeewhyWarning, match="'broken'"), pytest.raises(ModelError, match="its plug-in was skipped"):
        seewhy.load("broken:model")
    find_class = seewhy.load("example:bright").find_class
    with pytest.warns(SeewhyWarning, match="'broken'"), pytest.raises(TargetError, match="no target plugin:broken"):
        seewhy.targets.resolve("plugin:broken", find_class)
    with pytest.raises(TargetError, match=r"makes '.*'; expected a seewhy\.targets\.Target"):
        seewhy.targets.resolve("plugin:text", find_class)
    with pytest.raises(TargetError, match="Did you mean 'first_over_last'"):
        seewhy.targets.resolve("plugin:first_over_lats", find_class)


def test_a_plug_in_that_exits_or_fails_when_it_is_called_is_an_error_with_its_name(install, tmp_path):
    (tmp_path / "exiting_plugin.py").write_text("import sys; sys.exit(3)", encoding="utf-8")
    (tmp_path / "failing_plugin.py").write_text("def make(*name): raise KeyError('weights')", encoding="utf-8")
    names = {"exiting": "exiting_plugin:make", "failing": "failing_plugin:make"}
    install("failing-package", [(group, names) for group in ("seewhy.methods", "seewhy.targets", "seewhy.models")])
    with pytest.warns(SeewhyWarning, match="'exiting' .*SystemExit: 3"), pytest.raises(MethodError) as raised:
        methods.get("exiting")
    assert str(raised.value) == "Unknown method 'exiting': its plug-in was skipped, as the warning says."
    with pytest.warns(SeewhyWarning, match="'exiting'"), pytest.raises(TargetError, match="its plug-in was skipped"):
        seewhy.targets.resolve("plugin:exiting", None)
    with pytest.raises(TargetError, match=r"The target plugin:failing cannot be made.*KeyError: 'weights'"):
        seewhy.targets.resolve("plugin:failing", None)
    with pytest.raises(ModelError, match=r"The model failing:small cannot be made.*KeyError: 'weights'"):
        seewhy.load("failing:small")


def test_names_that_are_taken_are_named_in_a_warning(install):
    install("first-package", [("seewhy.methods", {"gradcam": "json:dumps"}), ("seewhy.models", {"zoo": "json:dumps"})])
    install("second-package", [("seewhy.methods", {"auto": "json:dumps"}), ("seewhy.models", {"zoo": "json:loads"})])
    with pytest.warns(SeewhyWarning) as warned:
        assert find.installed() == methods.METHODS
    assert sorted(str(each.message).partition(" is skipped: ")[0] for each in warned) == [
        *("The plug-in 'auto'", "The plug-in 'gradcam'")
    ]
    with pytest.warns(
        SeewhyWarning, match="'zoo' of the package .* is skipped: that of the package .* has the same name"
    ):
        assert list(plugins.find_plugins("seewhy.models")) == ["zoo"]


def test_importing_seewhy_reads_no_entry_points():
    code = "import sys, seewhy; assert 'importlib.metadata' not in sys.modules and 'seewhy.plugins' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
