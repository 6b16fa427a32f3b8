"""Which source a word means, and what is said of words that mean none."""

import pytest

import seewhy
from seewhy.errors import ModelError
from seewhy.models import SOURCES


@pytest.mark.parametrize(
    ("given", "spelling"),
    [
        ("efficientnet-lite0", "efficientnet-lite0"),
        ("torchvision:resnet50", "torchvision:NAME"),
        ("timm:resnet50.a1_in1k", "timm:NAME"),
        ("runs/cats", "a path"),
        ("model.KERAS", "a path"),
        ("./nets:build", "a path"),
        ("nets:build", "package.module:callable"),
        ("my.nets.cats:Nets.build", "package.module:callable"),
    ],
)
def test_the_first_that_fits(given, spelling):
    found = next(source for source in SOURCES if source.fits(given))
    assert found.spelling.startswith(spelling)


@pytest.mark.parametrize("given", ["", "nets:", ":build", "a b:c", "1nets:build", "nets:build()"])
def test_what_fits_none(given):
    with pytest.raises(ModelError) as raised:
        seewhy.load(given)
    assert f"Unknown model {given!r}." in str(raised.value)
    assert "torchvision:NAME; timm:NAME; a path to a .keras or .h5 file; package.module:callable." in str(raised.value)


def test_a_near_miss_of_a_name():
    with pytest.raises(ModelError, match=r"Did you mean 'efficientnet-lite0'"):
        seewhy.load("eficientnet-lite0")


def test_random_weights_only_where_there_is_something_to_build(tmp_path):
    for source in (tmp_path / "x.keras", "nets:build"):
        with pytest.raises(ModelError, match=r"weights=None asks for random weights, and .* brings its own"):
            seewhy.load(source, weights=None)
