"""The table of methods: families, levels, options, and refused values."""

import numpy as np
import pytest
from tests.methods.captures import ONE_CAPTURE, capture, drawn, raw_heatmaps

from seewhy import methods
from seewhy.errors import LayerError, MethodError, OptionError


@pytest.mark.parametrize("name", ONE_CAPTURE)
@pytest.mark.parametrize("space", [(7,), (2, 3, 4)], ids=["signal", "volume"])
def test_any_number_of_dimensions(name, space):
    activations, gradients = drawn(seed=1, targets=4, space=space, channels=3)
    found = raw_heatmaps(name, activations, gradients)
    flat = raw_heatmaps(name, activations.reshape(2, -1, 1, 3), gradients.reshape(2, 4, -1, 1, 3))
    assert found.shape == (2, 4, *space)
    np.testing.assert_allclose(found.reshape(2, 4, -1), flat[..., 0], atol=1e-12)


def test_an_unknown_method_is_refused_with_the_nearest():
    with pytest.raises(
        MethodError, match=r"Unknown method 'grad-cam'. Did you mean 'gradcam'.*\? Known: auto, gradcam, hires"
    ):
        methods.get("grad-cam")


def test_kpcacam_refuses_what_it_cannot_use():
    activations, gradients = drawn()
    with pytest.raises(OptionError, match="kernel is 'poly'; expected 'rbf' or 'sigmoid'"):
        raw_heatmaps("kpcacam", activations, gradients, kernel="poly")
    for gamma in (0, -1, np.nan, np.inf):
        with pytest.raises(OptionError, match=f"gamma is {gamma}; expected a number above 0"):
            raw_heatmaps("kpcacam", activations, gradients, gamma=gamma)
    activations, gradients = drawn(images=1, targets=1, space=(65, 64), channels=1)
    with pytest.raises(LayerError, match=r"'layer' has 4160 positions; KPCA-CAM takes at most 4096.*use eigencam"):
        raw_heatmaps("kpcacam", activations, gradients)


def test_channels_of_gradcam_are_added_up_or_averaged():
    activations, gradients = drawn(channels=5)
    added = raw_heatmaps("gradcam", activations, gradients)
    np.testing.assert_allclose(raw_heatmaps("gradcam", activations, gradients, channels="mean"), added / 5, atol=1e-12)
    np.testing.assert_array_equal(raw_heatmaps("gradcam", activations, gradients, channels="sum"), added)
    for channels in ("max", None, 5, ["sum"]):
        with pytest.raises(OptionError, match=r"channels is .*; expected 'sum' or 'mean'"):
            raw_heatmaps("gradcam", activations, gradients, channels=channels)


AT_THE_INPUT = {
    *("occlusion", "rise", "saliency", "gradient_x_input", "integrated_gradients", "smoothgrad", "guided_backprop"),
    *("guided_gradcam", "gradient_shap"),
}
PERTURBATION_METHODS = {"scorecam", "sscam", "iscam", "ablationcam", "recipro_cam", "occlusion", "rise"}
ACTIVATION_METHODS = {"eigencam", "kpcacam"}
ATTENTION_METHODS = {"gradient_rollout", "legrad", "attention_rollout", "legrad_rollout"}


def test_every_family_and_level():
    table = methods.METHODS.values()
    assert {method.name for method in table if method.level == "input"} == AT_THE_INPUT
    assert {method.name for method in table if method.family == "perturbation"} == PERTURBATION_METHODS
    assert {method.name for method in table if method.family == "activation"} == ACTIVATION_METHODS
    assert {method.name for method in table if method.family == "attention"} == ATTENTION_METHODS
    others = set(methods.METHODS) - PERTURBATION_METHODS - ACTIVATION_METHODS - ATTENTION_METHODS
    assert {method.name for method in table if method.family == "gradient"} == others


def test_a_function_with_a_second_parameter_needs_a_runner():
    needs_runner = {method.name for method in methods.METHODS.values() if method.needs_runner}
    assert needs_runner == {
        *PERTURBATION_METHODS,
        *("cam", "smoothgradcam++", "integrated_gradients", "gradient_shap", "smoothgrad", "guided_gradcam"),
    }
    assert methods.get("rise", masks=3).needs_runner
    assert not methods.get("gradcam", channels="mean").needs_runner


def test_gradient_methods_at_the_input_are_normalized_to_a_quantile():
    peaks = {name: method.peak_quantile for name, method in methods.METHODS.items() if method.peak_quantile != 1}
    assert peaks == dict.fromkeys(AT_THE_INPUT - PERTURBATION_METHODS, 0.995)


def test_what_is_differentiated():
    without = {name for name, method in methods.METHODS.items() if method.derivatives == "none"}
    others = {"integrated_gradients", "gradient_shap", "smoothgrad", "attention_rollout"}
    assert without == PERTURBATION_METHODS | ACTIVATION_METHODS | others
    guided = {name for name, method in methods.METHODS.items() if method.gradient_rule != "plain"}
    assert guided == {"guided_backprop", "guided_gradcam"}
    assert methods.get("guided_backprop").gradient_rule == "guided"
    assert methods.get("guided_backprop", others="pass").gradient_rule == "guided-where-relu"
    assert methods.get("guided_gradcam", others="refuse") is methods.METHODS["guided_gradcam"]


@pytest.mark.parametrize(("name", "has_closed_form"), [("gradcam", True), ("hirescam", True), ("layercam", False)])
def test_the_closed_form_of_the_table(name, has_closed_form):
    assert methods.get(name).has_closed_form == has_closed_form


def test_an_option_set_to_its_default_keeps_the_closed_form():
    assert methods.get("gradcam", channels="sum").has_closed_form
    assert not methods.get("gradcam", channels="mean").has_closed_form
    there_and_back = methods.get(methods.get("gradcam", channels="mean"), channels="sum")
    assert there_and_back.has_closed_form
    activations, gradients = drawn()
    found = there_and_back(capture(activations, gradients))
    np.testing.assert_array_equal(found, raw_heatmaps("gradcam", activations, gradients))


def test_options_that_change_nothing_return_the_same_method():
    assert methods.get("rise", masks=4000, p=0.5) is methods.METHODS["rise"]
    assert methods.get("rise", masks=4000, p=0.25).options == {**methods.METHODS["rise"].options, "p": 0.25}
    assert methods.get("rise", centred=np.True_) is methods.METHODS["rise"]
    baseline = np.zeros(3, np.float32)
    again = methods.get(methods.get("integrated_gradients", baseline=baseline), baseline=baseline)
    assert again.options["baseline"] is baseline


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("rise", "masks", 0, "masks is 0; expected an integer, 1 or more"),
        ("rise", "grid", (7, 0), "grid is 0; expected an integer, 1 or more, up to 1,000"),
        ("rise", "centred", 1, "centred is 1; expected True or False"),
        ("finercam", "base", "rise", "base is 'rise'; expected 'gradcam' or"),
        ("finercam", "similar", 0, "similar is 0; expected an integer"),
        ("recipro_cam", "mask", "square", "mask is 'square'; expected 'gaussian' or 'point'"),
        ("gradient_shap", "baselines", [[np.inf]], "baselines has NaN or infinite values"),
        ("occlusion", "stride", (), r"stride is \(\); expected an integer, or one for each"),
        ("kpcacam", "gamma", 0, "gamma is 0; expected a number above 0"),
    ],
)
def test_an_option_is_checked_when_it_is_set(name, option, value, message):
    with pytest.raises(OptionError, match=message):
        methods.get(name, **{option: value})


@pytest.mark.parametrize(("name", "method"), methods.METHODS.items())
def test_every_option_declares_its_check(name, method):
    for option, default in method.options.items():
        assert methods.get(name, **{option: default}) is method or isinstance(default, np.ndarray)
        with pytest.raises(OptionError, match=f"^{option} is <object"):
            methods.get(name, **{option: object()})


def test_a_checked_value_is_converted():
    method = methods.get("rise", masks=np.int64(8), grid=[3, 4])
    assert method.options == {**methods.METHODS["rise"].options, "masks": 8, "grid": (3, 4)}
    assert type(method.options["masks"]) is int
    assert methods.get("kpcacam", gamma=None) is methods.METHODS["kpcacam"]


def test_an_unknown_option_is_refused_with_the_known_ones():
    with pytest.raises(OptionError, match=r"'gradcam' has no option 'masks'. Its options: channels='sum'\."):
        methods.get("gradcam", masks=3)
    with pytest.raises(OptionError, match=r"'hirescam' has no option 'channels'. Its options: none\."):
        methods.get("hirescam", channels="sum")


def test_finercam_makes_its_heatmap_by_a_base_method():
    activations, gradients = drawn()
    for base in ("gradcam", "hirescam", "gradcam++", "xgradcam", "layercam"):
        expected = raw_heatmaps(base, activations, gradients)
        np.testing.assert_array_equal(raw_heatmaps("finercam", activations, gradients, base=base), expected)
    with pytest.raises(OptionError, match="base is 'rise'; expected 'gradcam' or 'hirescam' or"):
        raw_heatmaps("finercam", activations, gradients, base="rise")
