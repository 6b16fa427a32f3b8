"""Which kind of source a string is, and the error for a string that is none."""

import pytest

import seewhy
from seewhy.errors import ModelError
from seewhy.models import SOURCES


@pytest.mark.parametrize(
    ("source", "syntax"),
    [
        ("efficientnet-lite0", "efficientnet-lite0"),
        ("torchvision:resnet50", "torchvision:NAME"),
        ("timm:resnet50.a1_in1k", "timm:NAME"),
        ("hf:microsoft/resnet-50", "hf:NAME"),
        ("hf:./runs/flowers", "hf:NAME"),
        ("runs/cats", "a path"),
        ("model.KERAS", "a path"),
        ("./nets:build", "a path"),
        ("nets:build", "package.module:callable"),
        ("my.nets.cats:Nets.build", "package.module:callable"),
    ],
)
def test_the_first_match_is_used(source, syntax):
    kind = next(kind for kind in SOURCES if kind.matches(source))
    assert kind.syntax.startswith(syntax)


@pytest.mark.parametrize("source", ["", "nets:", ":build", "a b:c", "1nets:build", "nets:build()"])
def test_a_string_without_a_match(source):
    with pytest.raises(ModelError) as raised:
        seewhy.load(source)
    assert f"Unknown model {source!r}." in str(raised.value)
    hubs = (
        "torchvision:NAME; timm:NAME; ultralytics:NAME; open_clip:NAME@TAG; hf:NAME, or a folder that save_pretrained"
    )
    assert hubs in str(raised.value)
    assert "; a path to a .keras or .h5 file; PLUGIN:NAME, of another package; package.module:callable." in str(
        raised.value
    )


def test_a_similar_name_is_suggested():
    with pytest.raises(ModelError, match=r"Did you mean 'efficientnet-lite0'"):
        seewhy.load("eficientnet-lite0")


def test_files_and_functions_have_no_random_weights(tmp_path):
    for source in (tmp_path / "x.keras", "nets:build"):
        with pytest.raises(ModelError, match=r"weights=None asks for random weights, and .* comes with its own"):
            seewhy.load(source, weights=None)
