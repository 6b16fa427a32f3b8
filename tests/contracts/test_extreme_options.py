"""Numbers and names of absurd size, as options and as targets: an error of ours, before much memory is taken."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sample_models import paper_sequential

import seewhy
from seewhy import methods
from seewhy.cli.method_options import parse_methods
from seewhy.errors import OptionError, SeewhyError, TargetError, short_repr
from seewhy.images.animation import animation_writer

HUGE = int("9" * 25)
UNPRINTABLE = 10**5000
IMAGE = np.zeros((1, 2, 2, 1), np.float32)

FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def model():
    return paper_sequential()


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("rise", {"masks": HUGE}, "masks is 9{25}; expected an integer, 1 or more, up to 1,000,000"),
        ("rise", {"masks": 1_000_000, "grid": 1000}, "1,000,000,000,000 cells; expected at most 50,000,000"),
        ("rise", {"grid": 1_000_000_000}, "grid is 1000000000; expected an integer, 1 or more, up to 1,000"),
        ("rise", {"seed": 2**64}, "seed is 18446744073709551616; expected an integer, 0 or more"),
        ("smoothgrad", {"samples": 10**8}, "samples is 100000000; expected an integer, 1 or more, up to 1,000,000"),
        ("smoothgrad", {"samples": UNPRINTABLE}, "samples is an integer of 16610 bits; expected an integer"),
        ("smoothgrad", {"sigma": 1e308}, r"sigma is 1e\+308; expected a fraction .* up to 1000"),
        ("smoothgrad", {"sigma": UNPRINTABLE}, "sigma is an integer of 16610 bits"),
        ("sscam", {"samples": 10**8}, "samples is 100000000; expected an integer, 1 or more, up to"),
        ("sscam", {"sigma": 1e308}, r"sigma is 1e\+308; expected a number above 0, up to 1000"),
        ("iscam", {"steps": 10**8}, "steps is 100000000; expected an integer, 1 or more"),
        ("integrated_gradients", {"steps": 10**8}, "steps is 100000000; expected an integer, 1 or more"),
        ("integrated_gradients", {"baseline": 1e308}, "baseline has NaN or infinite values"),
        ("integrated_gradients", {"baseline": UNPRINTABLE}, "baseline is an integer of 16610 bits; expected a number"),
        ("kpcacam", {"gamma": 1e308}, r"gamma is 1e\+308; expected a number above 0, up to 1e\+30"),
        ("kpcacam", {"gamma": UNPRINTABLE}, "gamma is an integer of 16610 bits"),
        ("occlusion", {"window": HUGE}, "window is 9{25}; expected an integer"),
        ("occlusion", {"baseline": 1e308}, r"baseline is 1e\+308; expected 'mean', a number"),
    ],
)
def test_a_method_option_of_absurd_size_is_refused_with_its_limit(model, method, options, message):
    with pytest.raises(OptionError, match=message):
        seewhy.Explainer(model, methods.get(method, **options)).heatmaps(IMAGE)


def test_a_whole_number_is_taken_as_the_same_number_with_a_point(model):
    heatmaps = [
        seewhy.Explainer(model, methods.get("kpcacam", gamma=gamma)).heatmaps(IMAGE) for gamma in (2**40, 2.0**40)
    ]
    np.testing.assert_array_equal(heatmaps[0].values, heatmaps[1].values)


def test_windows_at_every_pixel_of_a_large_input_are_refused(monkeypatch):
    from seewhy.methods import occlusion
    from seewhy.methods.occlusion import _windows

    with pytest.raises(OptionError, match=r"16,777,216 windows; expected at most 1,000,000. Increase it"):
        _windows((4096, 4096), 1, 1)
    monkeypatch.setattr(occlusion, "MAX_RUNS", 1000)
    assert len(_windows((25, 40), 1, 1)) == 1000
    with pytest.raises(OptionError, match="1,025 windows"):
        _windows((25, 41), 1, 1)


@pytest.mark.parametrize(
    "targets",
    [
        UNPRINTABLE, -UNPRINTABLE, "9" * 5000, "top-" + "9" * 5000, "top-" + "9" * 10, [UNPRINTABLE], [[UNPRINTABLE]],
        ["top-1", UNPRINTABLE], {"a": UNPRINTABLE}, "a" * 1001, [10.5, UNPRINTABLE], "²", "top-²",
    ],
    ids=range(13),
)  # fmt: skip
def test_a_target_of_absurd_size_is_refused(model, targets):
    with pytest.raises(TargetError) as raised:
        seewhy.Explainer(model).heatmaps(IMAGE, targets)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "make",
    [
        lambda: seewhy.targets.TopK(UNPRINTABLE),
        lambda: seewhy.targets.Class((UNPRINTABLE,)),
        lambda: seewhy.targets.Difference(UNPRINTABLE, 0),
        lambda: seewhy.Style(alpha=UNPRINTABLE),
        lambda: seewhy.Style(image_weight=1e400),
        lambda: seewhy.Style(colormap="x" * 10_000),
        lambda: seewhy.Style(normalization=UNPRINTABLE),
        lambda: animation_writer([], ".gif", UNPRINTABLE),
    ],
    ids=range(8),
)
def test_objects_with_values_of_absurd_size_are_refused(make):
    from seewhy.images.colour import color_table

    with pytest.raises(SeewhyError) as raised:
        color_table(make().colormap)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("batch_size", [HUGE, UNPRINTABLE, 0, True], ids=range(4))
def test_batches_of_absurd_size_are_refused(model, batch_size):
    with pytest.raises(OptionError, match="expected 1 or more, up to 100,000"):
        seewhy.Explainer(model).heatmaps(IMAGE, batch_size=batch_size)


def test_a_call_number_of_absurd_size_is_refused(model):
    with pytest.raises(SeewhyError, match="There is no layer 'conv#9"):
        seewhy.Explainer(model, layer="conv#" + "9" * 5000)


@pytest.mark.parametrize(
    "value",
    ["-" * 900 + "5", "(" * 900, "[" * 900 + "]" * 900, "9" * 900, "{[]: 1}", "1" + "+1j" * 200, "0x" + "f" * 900],
)
def test_a_setting_that_python_cannot_parse_is_text(model, value):
    try:
        (method,) = parse_methods("rise", [f"masks={value}"])
        seewhy.Explainer(model, method).heatmaps(IMAGE)
    except OptionError:
        return
    pytest.fail("it was accepted")


def test_a_setting_of_thousands_of_characters_is_refused():
    with pytest.raises(OptionError, match="The value of 'masks' in --set has 5,001 characters; the limit is 1,000"):
        parse_methods("rise", ["masks=" + "-" * 5000 + "5"])


VALUES = (
    st.integers() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=8) | st.none() | st.booleans()
    | st.lists(st.integers(-3, 10**30) | st.floats(), max_size=3)
    | st.sampled_from([4000, 5000]).map(lambda digits: 10**digits)
)  # fmt: skip
TARGETS = VALUES | st.text(max_size=30)
OPTIONS = st.sampled_from([(name, option) for name, method in methods.METHODS.items() for option in method.options])


@pytest.mark.slow(reason="runs methods on hundreds of values; options are checked when they are set, which is tested")
@FUZZ
@given(option=OPTIONS, value=VALUES)
def test_no_option_gives_an_error_of_another_tree(model, option, value):
    """Numbers of runs that are allowed, but would take minutes, are left out."""
    method, name = option
    if name in ("masks", "samples", "steps") and isinstance(value, int) and 20 < value <= 10**6:
        return
    few = {key: 2 for key in methods.METHODS[method].options if key in ("masks", "samples", "steps")}
    try:
        heatmaps = seewhy.Explainer(model, methods.get(method, **{**few, name: value})).heatmaps(IMAGE)
    except SeewhyError:
        return
    assert np.isfinite(heatmaps.values).all()


@FUZZ
@given(targets=TARGETS | st.lists(TARGETS, max_size=3) | st.lists(st.lists(TARGETS, max_size=2), max_size=2))
def test_no_target_gives_an_error_of_another_tree(model, targets):
    try:
        seewhy.Explainer(model).heatmaps(IMAGE, targets)
    except SeewhyError as error:
        message = str(error)
    else:
        message = ""
    assert len(message) < 2000


def test_a_value_is_shown_shortened():
    assert short_repr("a") == "'a'"
    assert short_repr("a" * 1000) == "'" + "a" * 199 + "..."
    assert short_repr(UNPRINTABLE) == "an integer of 16610 bits"
    assert short_repr([UNPRINTABLE]) == "a list"
