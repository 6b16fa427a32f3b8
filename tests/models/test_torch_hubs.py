"""Transforms of torchvision and timm, with stand-ins for their objects, since neither is installed here."""

import builtins
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest

import seewhy
from seewhy import Preprocessing
from seewhy.errors import MissingExtraError, ModelError
from seewhy.models.class_names import imagenet
from seewhy.models.torch_hubs import timm_class_names, timm_preprocessing, torchvision_preprocessing

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class InterpolationMode(Enum):
    """As in torchvision.transforms."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"


def image_classification(**changes):
    """What `torchvision.transforms._presets.ImageClassification` keeps, for ResNet50_Weights.IMAGENET1K_V2."""
    kept = {
        "crop_size": [224], "resize_size": [232], "mean": MEAN, "std": STD, "interpolation": InterpolationMode.BILINEAR
    }  # fmt: skip
    return SimpleNamespace(**{**kept, **changes})


def data_config(**changes):
    """What `timm.data.resolve_model_data_config` returns, for resnet50.a1_in1k at test size."""
    kept = {
        "input_size": (3, 288, 288), "interpolation": "bicubic", "mean": tuple(MEAN), "std": tuple(STD),
        "crop_pct": 0.95, "crop_mode": "center",
    }  # fmt: skip
    return {**kept, **changes}


def test_torchvision_s_resnet50():
    found = torchvision_preprocessing("resnet50", image_classification())
    assert (found.size, found.resample, found.channels_first) == ((224, 224), "bilinear", True)
    assert found.crop == pytest.approx(224 / 232)
    # A pixel p of 0..255 becomes (p / 255 - mean) / std: red 255 is (1 - 0.485) / 0.229 = 2.2489.
    values = found([np.full((300, 400, 3), 255, np.uint8)]).values
    assert values.shape == (1, 3, 224, 224)
    np.testing.assert_allclose(values[0, :, 7, 7], [2.2489, 2.4286, 2.6400], atol=1e-4)


def test_the_crop_is_the_one_that_torchvision_takes():
    """300 x 450: the shorter side becomes 232, so 224 of it are 289.7 of 300 pixels, in the middle of both sides."""
    found = torchvision_preprocessing("resnet50", image_classification())
    (placement,) = found([np.zeros((300, 450, 3), np.uint8)]).placements
    top, left, bottom, right = placement.box
    assert bottom - top == right - left == pytest.approx(300 * 224 / 232, abs=1)
    assert ((top + bottom) / 2, (left + right) / 2) == pytest.approx((150, 225), abs=1)


@pytest.mark.parametrize(
    ("changes", "size", "crop"),
    [
        ({"crop_size": 480, "resize_size": 480}, (480, 480), 1.0),
        ({"crop_size": [384, 384], "resize_size": [384]}, (384, 384), 1.0),
        ({"crop_size": [200, 100], "resize_size": [200, 100]}, (200, 100), None),
    ],
)
def test_other_sizes_of_torchvision(changes, size, crop):
    found = torchvision_preprocessing("net", image_classification(**changes))
    assert (found.size, found.crop) == (size, crop)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"crop_size": [224, 112]}, "it crops 224 x 112 from a shorter side of 232"),
        ({"resize_size": [256, 300]}, r"it resizes images to \(256, 300\) and crops \(224, 224\)"),
        ({"resize_size": [200]}, "it pads images: its crop is 1.120 of the image"),
        ({"interpolation": InterpolationMode.BOX}, "its interpolation is 'box'"),
    ],
)
def test_unsupported_transforms_of_torchvision(changes, reason):
    with pytest.raises(ModelError, match=rf"torchvision:net cannot be expressed as a seewhy.Preprocessing: {reason}\."):
        torchvision_preprocessing("net", image_classification(**changes))


def test_a_transform_that_is_not_for_classification():
    with pytest.raises(ModelError, match="torchvision:fcn, SimpleNamespace, is not one for classification"):
        torchvision_preprocessing("fcn", SimpleNamespace(resize_size=520, mean=MEAN, std=STD))


def test_timm_s_resnet50():
    found = timm_preprocessing("resnet50", data_config())
    numbers = {"mean": tuple(255 * value for value in MEAN), "std": tuple(255 * value for value in STD)}
    assert found == Preprocessing((288, 288), 0.95, "bicubic", **numbers, channels_first=True)


def test_timm_s_squash_is_the_whole_image():
    assert timm_preprocessing("net", data_config(crop_mode="squash", crop_pct=1.0)).crop is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"crop_mode": "squash"}, "its crop_mode is 'squash' with crop_pct 0.95"),
        ({"crop_mode": "border"}, "its crop_mode is 'border' with crop_pct 0.95"),
        ({"input_size": (1, 28, 28)}, "its input has 1 channels, and images have 3"),
        ({"interpolation": "random"}, "its interpolation is 'random'"),
        ({"crop_pct": 1.14}, "it pads images: its crop is 1.140 of the image"),
    ],
)
def test_unsupported_transforms_of_timm(changes, reason):
    with pytest.raises(ModelError, match=rf"timm:net cannot be expressed as a seewhy.Preprocessing: {reason}\."):
        timm_preprocessing("net", data_config(**changes))


def test_timm_s_class_names():
    named = timm_class_names({"label_names": ["n1", "n2"], "label_descriptions": {"n1": "cat", "n2": "dog"}}, 2)
    assert (list(named), named.ids) == (["cat", "dog"], ("n1", "n2"))
    plain = timm_class_names({"label_names": ("cat", "dog")}, 2)
    assert (list(plain), plain.ids) == (["cat", "dog"], None)
    assert timm_class_names({}, 1000) is imagenet()
    assert timm_class_names({"label_names": ["cat"]}, 2) is None


@pytest.mark.parametrize("hub", ["torchvision", "timm"])
@pytest.mark.parametrize("missing", ["itself", "torch"])
def test_a_hub_that_is_not_installed(monkeypatch, hub, missing):
    """As in an environment without it; without torch, the hub's own import of torch is what fails."""
    name = hub if missing == "itself" else "torch"
    real = builtins.__import__

    def without(module, *arguments, **options):
        if module.split(".")[0] == hub:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(module, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=rf"^{name} is not installed. Install it with: pip install .*\[hubs\]'"):
        seewhy.load(f"{hub}:resnet50")
