"""What is paid once, on every framework: the first call for a shape of input traces and compiles, no other does."""

import pytest
from tests.contracts.reference import images

import seewhy
from seewhy.timing import Phase, measure


@pytest.mark.parametrize("derivatives", ["gradients", "closed_form"])
def test_only_the_first_call_for_a_shape_compiles(framework, derivatives):
    explainer = seewhy.Explainer(framework.plain(), layer="features")
    many = [0, 1, 2, 1] * 8 if derivatives == "closed_form" else [0, 1]
    inputs = framework.given(images(2))

    def phases(inputs, targets):
        with measure() as times:
            explainer.heatmaps(inputs, targets)
        assert 0 < sum(times.this_thread.values()) <= times.total
        return set(times.this_thread)

    compiled = {Phase.COMPILING, Phase.RUNNING}
    assert phases(inputs, many) == compiled
    assert phases(inputs, many) == {Phase.RUNNING}
    assert phases(inputs + 1, many[::-1]) == {Phase.RUNNING}  # neither other images nor other classes
