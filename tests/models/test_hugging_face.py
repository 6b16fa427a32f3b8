"""Hugging Face folders without transformers: image processors, what is refused, and names."""

import json
import os
import sys
import types

import numpy as np
import pytest

import seewhy
from seewhy.errors import MissingExtraError, ModelError, WeightsError
from seewhy.models import hugging_face, hugging_face_hub
from seewhy.models.class_names import imagenet, named_classes
from seewhy.models.hugging_face_folder import MAX_NUMBER, inspect, is_folder
from seewhy.models.hugging_face_processor import hugging_face_preprocessing

VIT = {"image_processor_type": "ViTImageProcessor", "size": {"height": 30, "width": 20}, "resample": 2}
COLORS = {"image_mean": [0.5, 0.25, 0.5], "image_std": [0.5, 0.25, 0.1]}
CONFIG = {"model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": 16}


def processor(kind="ViT", **changes):
    return {**VIT, **COLORS, "image_processor_type": f"{kind}ImageProcessor", **changes}


def folder(path, config=None, processor_settings=None, weights="model.safetensors"):
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(CONFIG if config is None else config))
    if processor_settings is not None:
        (path / "preprocessor_config.json").write_text(json.dumps(processor_settings))
    if weights:
        (path / weights).write_bytes(b"0" * 100)
    return path


def test_pixels_are_scaled_by_hand():
    """A pixel of 51 is 0.2: (0.2 - 0.5) / 0.5 = -0.6; (0.2 - 0.25) / 0.25 = -0.2; (0.2 - 0.5) / 0.1 = -3."""
    found = hugging_face_preprocessing("net", processor())
    inputs = found([np.full((40, 50, 3), 51, np.uint8)])
    assert inputs.shape == (1, 3, 30, 20)
    assert inputs.placements[0].box == (0, 0, 40, 50)  # the whole image
    np.testing.assert_allclose(inputs.values[0, :, 3, 3], [-0.6, -0.2, -3], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"do_normalize": False}, [0.2, 0.2, 0.2]),
        ({"do_rescale": False}, [101, 203, 505]),  # (51 - 0.5) / 0.5, (51 - 0.25) / 0.25, (51 - 0.5) / 0.1
        ({"do_rescale": False, "do_normalize": False}, [51, 51, 51]),
        ({"rescale_factor": 1 / 51}, [1, 3, 5]),
    ],
)
def test_flags_of_scaling(changes, expected):
    values = hugging_face_preprocessing("net", processor(**changes))([np.full((9, 9, 3), 51, np.uint8)]).values
    np.testing.assert_allclose(values[0, :, 0, 0], expected, rtol=1e-5)


def test_efficientnet_divides_twice_and_shifts():
    """51 / 127.5 - 1 = -0.6; (-0.6 - 0.5) / 0.5 / 0.5 = -4.4; without the second division -2.2."""
    settings = processor("EfficientNet", rescale_factor=1 / 127.5, rescale_offset=True)
    for include_top, expected in ((True, -4.4), (False, -2.2)):
        found = hugging_face_preprocessing("net", {**settings, "include_top": include_top})
        values = found([np.full((9, 9, 3), 51, np.uint8)]).values
        np.testing.assert_allclose(values[0, 0, 0, 0], expected, rtol=1e-5)


def test_mobilevit_takes_blue_first_and_no_mean():
    settings = processor("MobileViT", size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    image = np.full((9, 9, 3), (255, 51, 0), np.uint8)
    for flips, expected in ((None, [0, 0.2, 1]), (True, [0, 0.2, 1]), (False, [1, 0.2, 0])):
        found = hugging_face_preprocessing("net", {**settings, "do_flip_channel_order": flips})
        np.testing.assert_allclose(found([image]).values[0, :, 4, 4], expected, atol=1e-6)


SQUARE = {"crop_size": {"height": 20, "width": 20}}


@pytest.mark.parametrize(
    ("settings", "size", "resize"),
    [
        (processor(), (30, 20), None),
        (processor(size=24), (24, 24), None),  # files of old versions hold one number
        (processor(size=[30, 20]), (30, 20), None),
        (processor("CLIP", size=24, crop_size=20), (20, 20), 24),
        (processor("CLIP", size={"shortest_edge": 24, "longest_edge": None}, **SQUARE), (20, 20), 24),
        (processor("CLIP", size=[22, 24], **SQUARE), (20, 20), (22, 24)),
        (processor("DeiT", size={"height": 23, "width": 23}, **SQUARE), (20, 20), (23, 23)),
        (processor("DeiT", do_center_crop=False, **SQUARE), (30, 20), None),
        (processor("Beit", do_center_crop=True, **SQUARE), (20, 20), (30, 20)),
        (processor("ConvNext", size={"shortest_edge": 224}, crop_pct=0.875), (224, 224), 256),
        (processor("ConvNext", size={"shortest_edge": 384}, crop_pct=0.875), (384, 384), None),
        (processor("Levit", size={"shortest_edge": 224}, **SQUARE), (20, 20), 256),
        (processor("PoolFormer", size={"shortest_edge": 224}, crop_pct=0.9, **SQUARE), (20, 20), 248),
        (processor("PoolFormer", size={"height": 224, "width": 224}, **SQUARE), (20, 20), 248),
        (processor("PoolFormer", size={"height": 22, "width": 40}, crop_pct=0.5, **SQUARE), (20, 20), (44, 80)),
        (processor("PoolFormer", size={"height": 22, "width": 40}, crop_pct=None, **SQUARE), (20, 20), (22, 40)),
    ],
)
def test_where_the_input_lies(settings, size, resize):
    found = hugging_face_preprocessing("net", settings)
    assert (found.size, found.resize, found.crop) == (size, resize, None)


@pytest.mark.parametrize("name", ["ViTImageProcessorFast", "ViTImageProcessorPil", "ViTFeatureExtractor"])
def test_names_that_depend_on_the_version(name):
    settings = {key: value for key, value in processor().items() if key != "image_processor_type"}
    key = "feature_extractor_type" if "Feature" in name else "image_processor_type"
    assert hugging_face_preprocessing("net", {**settings, key: name}) == hugging_face_preprocessing("net", processor())


def test_grey_models():
    found = hugging_face_preprocessing("net", processor(image_mean=[0.5], image_std=[0.5]), channels=1)
    assert found([np.full((9, 9, 3), 51, np.uint8)]).values[0, :, 0, 0] == pytest.approx([-0.6])
    with pytest.raises(ModelError, match="its model takes one channel, and its mean and std are for three"):
        hugging_face_preprocessing("net", processor(), channels=1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"image_processor_type": "ImageGPTImageProcessor"}, "what 'ImageGPTImageProcessor' does is not known"),
        ({"image_processor_type": None}, "its type, image_processor_type, is not given"),
        ({"do_pad": True}, "it has a step that is not known here, do_pad"),
        ({"do_flip_channel_order": True}, "it has a step that is not known here, do_flip_channel_order"),
        ({"do_resize": False}, "it does not resize images, which come in any size"),
        ({"size": {"longest_edge": 20}}, r"its size is \{'longest_edge': 20\}, which depends on the image"),
        ({"size": {"shortest_edge": 20}}, "its inputs have no fixed size: it resizes the shorter side to 20"),
        ({"size": {"height": 10**6, "width": 2}}, "its size is "),
        ({"size": None}, "its file does not say 'size'"),
        ({"size": "20"}, "its size is '20'"),
        ({"resample": None}, "its file does not say 'resample'"),
        ({"resample": 4}, "its resample is 4"),
        ({"image_mean": [0.5, 0.5]}, r"its image_mean is \[0.5, 0.5\]; expected a number for each of 3 channels"),
        ({"image_std": [0.5, 0, 1]}, r"its image_std is \[0.5, 0, 1\]"),
        ({"rescale_factor": 0}, "its rescale_factor is 0"),
    ],
)
def test_processors_that_cannot_be_expressed(changes, problem):
    message = rf"The image processor of net cannot be expressed as a seewhy.Preprocessing: {problem}"
    with pytest.raises(ModelError, match=message) as raised:
        hugging_face_preprocessing("net", processor(**changes))
    assert "seewhy.Classifier(transformers.AutoModelForImageClassification.from_pretrained(...)" in str(raised.value)


def test_class_names():
    assert list(named_classes({"1": "dog", "0": "cat"})) == ["cat", "dog"]
    assert named_classes({0: "LABEL_0", 1: "LABEL_1"}) is None
    assert named_classes({0: "cat", 2: "dog"}) is None
    assert named_classes(None) is None
    assert named_classes(dict(enumerate(map(", ".join, imagenet().synonyms)))) is imagenet()
    assert named_classes({index: str(index) for index in range(1000)}) is not imagenet()


def test_what_is_a_hugging_face_folder(tmp_path):
    assert is_folder(folder(tmp_path / "vit"))
    assert not is_folder(folder(tmp_path / "keras_hub", {"class_name": "ViTBackbone"}))
    assert not is_folder(tmp_path)
    assert not is_folder(tmp_path / "missing")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"auto_map": {"AutoConfig": "evil.Config"}}, "auto_map asks for Python code of its own"),
        ({"quantization_config": {"quant_method": "x"}}, "quantization_config asks for weights that another package"),
        ({"attn_implementation": "evil/kernels"}, "attn_implementation asks for kernels to be downloaded"),
        ({"vision_config": {"_attn_implementation": "a/b"}}, "_attn_implementation asks for kernels to be downloaded"),
        ({"attn_implementation": {"": "eager", "vision_config": "a/b"}}, "attn_implementation asks for kernels"),
        ({"attn_implementation": ["eager", ["a/b"]]}, "attn_implementation asks for kernels"),
        ({"experts_implementation": ["a/b"]}, "experts_implementation asks for kernels"),
        ({"transformers_weights": "../x.bin"}, "transformers_weights asks for another file of weights"),
        ({"backbone_config": [{"use_pretrained_backbone": True}]}, "asks for the weights of another model"),
        ({"num_hidden_layers": MAX_NUMBER + 1}, "its num_hidden_layers is 1000001, and sizes are at most 1,000,000"),
        ({"depths": [MAX_NUMBER] * 2}, r"its depths is \[1000000, 1000000\], and sizes are at most"),
    ],
)
def test_what_a_config_may_not_say(tmp_path, settings, problem):
    path = folder(tmp_path / "net", {**CONFIG, **settings})
    with pytest.raises(ModelError, match=rf"config.json is refused: .*{problem}") as raised:
        seewhy.load(path)
    assert "trust=True (--trust on the command line)" in str(raised.value)
    assert inspect(path, trust=True).weight_bytes == 100


def test_a_processor_with_code_is_refused_and_harmless_keys_are_not(tmp_path):
    path = folder(tmp_path / "net", processor_settings={"auto_map": {"AutoImageProcessor": "evil.Processor"}})
    with pytest.raises(ModelError, match="auto_map asks for Python code of its own"):
        seewhy.load(path)
    harmless = {
        "attn_implementation": ["sdpa"],
        "experts_implementation": 5,
        "auto_map": None,
        "use_timm_backbone": False,
        "id2label": {"0": 10**9},
    }
    assert inspect(folder(tmp_path / "b", {**CONFIG, **harmless}), trust=False).processor is None


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "tf_model.h5"])
def test_other_weights_than_safetensors_are_refused(tmp_path, weights):
    with pytest.raises(ModelError, match=f"has its weights in {weights}, and only safetensors is loaded"):
        seewhy.load(folder(tmp_path / "net", weights=weights))
    with pytest.raises(ModelError, match=r"contains no weights: there is no model.safetensors"):
        seewhy.load(folder(tmp_path / "bare", weights=None))


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/x.safetensors", "pytorch_model.bin"])
def test_an_index_may_only_name_files_of_its_folder(tmp_path, name):
    path = folder(tmp_path / "net", weights=None)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match=rf"is malicious: it names '{name}', which is no file of its folder"):
        seewhy.load(path)


def test_shards_an_adapter_and_damaged_files(tmp_path):
    path = folder(tmp_path / "net", weights="model-1-of-2.safetensors")
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WeightsError, match=r"Cannot read .*model-2-of-2.safetensors: No such file"):
        inspect(path, trust=False)
    (path / "model-2-of-2.safetensors").write_bytes(b"0" * 11)
    assert inspect(path, trust=False).weight_bytes == 111
    (path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="contains an adapter"):
        inspect(path, trust=False)
    (path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config.json is not JSON"):
        seewhy.load(path)


def test_what_is_read_is_a_small_regular_file(tmp_path):
    path = folder(tmp_path / "net")
    os.mkfifo(path / "preprocessor_config.json")
    with pytest.raises(ModelError, match=r"preprocessor_config.json is not read: it is a FIFO"):
        seewhy.load(path)
    (path / "preprocessor_config.json").unlink()
    (path / "preprocessor_config.json").write_text("[" * 300 + "]" * 300)
    with pytest.raises(ModelError, match=r"preprocessor_config.json is malicious: "):
        seewhy.load(path)
    (path / "preprocessor_config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"preprocessor_config.json contains \[\]; expected an object"):
        seewhy.load(path)


def test_the_image_processor_of_a_processor_of_several(tmp_path):
    path = folder(tmp_path / "net")
    (path / "processor_config.json").write_text(json.dumps({"image_processor": VIT, "tokenizer": {}}))
    assert inspect(path, trust=False).processor == VIT


@pytest.mark.parametrize(
    "source",
    [
        *("hf:a b", "hf:", "hf:a/..", "hf:org/net:tag", "hf:-x/y", "hf:a--b/c", "hf:é/b", "hf:a.git", "hf:a/b."),
        *("hf:a/-b", f"hf:{'a' * 300}", f"hf:a/{'b' * 97}", f"hf:{'a' * 97}/b", "hf:a\0b"),
    ],
)
def test_names_that_are_none(source):
    with pytest.raises(ModelError, match="is no name of a model on the Hugging Face hub; expected OWNER/NAME"):
        seewhy.load(source)
    hugging_face_hub.check_name(f"{'a' * 96}/{'b' * 96}")


def test_folders_that_do_not_exist_or_are_no_models(tmp_path, monkeypatch):
    folder(tmp_path / "flowers")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for source in ("hf:./flower", "./flower", f"hf:{tmp_path}/flower"):
        with pytest.raises(ModelError, match=r"There is no (folder|file) .*flower\. Did you mean 'flowers'\?"):
            seewhy.load(source)
    with pytest.raises(ModelError, match=r"The folder empty contains no config.json; expected a folder that save_pre"):
        seewhy.load("hf:empty")
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in ("~\0/flowers", "hf:~\0flowers", "~\ud800/flowers", "hf:~nobody-of-that-name/flowers"):
        with pytest.raises(ModelError, match=r"There is no file .*flowers: the home folder is unknown"):
            seewhy.load(source)
    monkeypatch.setitem(sys.modules, "transformers", None)
    for source in ("hf:flowers", "flowers", tmp_path / "flowers", "~/flowers", "hf:~/flowers"):
        # All are found, up to what transformers would do.
        with pytest.raises(MissingExtraError, match=r"For flowers, transformers is not installed.*huggingface"):
            seewhy.load(source)


class HTTPError(Exception):
    """Of a library, and no OSError."""


class HfHubHTTPError(HTTPError, OSError):
    pass


class RepositoryNotFoundError(HfHubHTTPError):
    pass


class GatedRepoError(RepositoryNotFoundError):
    pass


class RevisionNotFoundError(HfHubHTTPError):
    pass


class RemoteEntryNotFoundError(HfHubHTTPError):
    pass


class HFValidationError(ValueError):
    pass


ERRORS = {
    error.__name__: error
    for error in (
        HfHubHTTPError,
        RepositoryNotFoundError,
        GatedRepoError,
        RevisionNotFoundError,
        RemoteEntryNotFoundError,
        HFValidationError,
    )
}


@pytest.fixture
def installed(monkeypatch):
    """transformers and torch are found, and not used."""
    monkeypatch.setitem(sys.modules, "transformers", types.ModuleType("transformers"))


def fake_hub(monkeypatch, tmp_path, *, error=None, is_offline=False):
    """huggingface_hub with an empty cache but for one model; the hub itself cannot be reached."""
    (tmp_path / "models--microsoft--resnet-50").mkdir()

    class MissingError(FileNotFoundError):
        pass

    def download(*_, **__):
        raise MissingError

    def head(url, timeout):
        assert url == "https://huggingface.co"
        assert timeout <= 3
        raise error

    errors = types.SimpleNamespace(**ERRORS, LocalEntryNotFoundError=MissingError)
    constants = types.SimpleNamespace(
        HF_HUB_CACHE=str(tmp_path), ENDPOINT="https://huggingface.co", is_offline_mode=lambda: is_offline
    )
    session = types.SimpleNamespace(head=head)
    hub = types.SimpleNamespace(
        hf_hub_download=download,
        errors=errors,
        constants=constants,
        utils=types.SimpleNamespace(get_session=lambda: session),
    )
    monkeypatch.setattr(hugging_face_hub, "_import_hub", lambda: hub)


@pytest.mark.parametrize(
    ("is_offline", "reason"),
    [(True, "HF_HUB_OFFLINE forbids downloads"), (False, r"https://huggingface.co cannot be reached: no route")],
)
@pytest.mark.usefixtures("installed")
def test_offline_it_says_what_to_do(monkeypatch, tmp_path, is_offline, reason):
    fake_hub(monkeypatch, tmp_path, error=OSError("no route"), is_offline=is_offline)
    with pytest.raises(ModelError) as raised:
        seewhy.load("hf:microsoft/resnet-51")
    message = str(raised.value)
    assert f"hf:microsoft/resnet-51 is not in the cache, {tmp_path}, and " in message
    assert reason in message
    assert "Did you mean 'microsoft/resnet-50'?" in message
    assert "hf download microsoft/resnet-51 --local-dir folder. Copy the folder here" in message


@pytest.mark.usefixtures("installed")
def test_the_default_hub_is_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        MissingExtraError, match=r"huggingface_hub is not installed. Install it with: .*\[huggingface\]"
    ):
        hugging_face.load("hf:microsoft/resnet-50", pretrained=True, trust=False)


def test_nothing_is_downloaded_without_transformers(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr(hugging_face_hub, "find_model", lambda *_, **__: pytest.fail("it is downloaded"))
    with pytest.raises(MissingExtraError, match=r"For hf:a/b, transformers is not installed.*\[huggingface\]"):
        seewhy.load("hf:a/b")


def online_hub(monkeypatch, tmp_path, download, **functions):
    """huggingface_hub with an empty cache, whose hub responds."""
    fake_hub(monkeypatch, tmp_path)
    hub = hugging_face_hub._import_hub()
    hub.hf_hub_download = download
    hub.utils.get_session = lambda: types.SimpleNamespace(head=lambda *_, **__: None)
    for name, function in functions.items():
        setattr(hub, name, function)
    return hub


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (RepositoryNotFoundError, ModelError, "has no model 'microsoft/resnet-51'.*Did you mean 'microsoft/resnet-50'"),
        (GatedRepoError, ModelError, "accept its conditions on its page, https://huggingface.co/microsoft/resnet-51"),
        (HfHubHTTPError, WeightsError, "Cannot download hf:microsoft/resnet-51: HfHubHTTPError"),
        (HTTPError, WeightsError, "Cannot download hf:microsoft/resnet-51: HTTPError"),
        (HFValidationError, ModelError, "'microsoft/resnet-51' is no name of a model"),
    ],
)
def test_errors_of_a_download(monkeypatch, tmp_path, error, expected, message):
    """The search for similar names fails, too, which changes nothing."""

    def download(*_, local_files_only=False, **__):
        if local_files_only:
            raise FileNotFoundError
        if error is HfHubHTTPError:  # its client then says that there is no connection
            raise hub.errors.LocalEntryNotFoundError("Check your connection.") from error()
        raise error

    def list_models(**_):
        raise HTTPError

    hub = online_hub(monkeypatch, tmp_path, download, HfApi=lambda: types.SimpleNamespace(list_models=list_models))
    with pytest.raises(expected, match=message):
        seewhy.load("hf:microsoft/resnet-51")


@pytest.mark.parametrize("is_known", [False, True])
def test_a_snapshot_without_a_processor_is_completed(monkeypatch, tmp_path, is_known):
    """Unless it is known that the hub has none; the commit stays the same."""
    path = folder(tmp_path / ("0" * 40))
    fetched = []

    def download(_, file, *, revision, local_files_only=False, **__):
        if not local_files_only:
            fetched.append((file, revision))
        if file == "preprocessor_config.json":
            (path / file).write_text(json.dumps(VIT))
        return str(path / file)

    hub = online_hub(
        monkeypatch, tmp_path, download, try_to_load_from_cache=lambda *_, **__: object() if is_known else None
    )
    assert hugging_face_hub.find_model("a/b", trust=False, needs_weights=True) == path
    assert (("preprocessor_config.json", "0" * 40) in fetched) is not is_known
    (path / "preprocessor_config.json").unlink(missing_ok=True)
    hub.constants.is_offline_mode = lambda: True
    assert hugging_face_hub.find_model("a/b", trust=False, needs_weights=True) == path


def test_the_config_of_the_hub_is_read_with_limits(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text("[" * 300 + "]" * 300)

    def download(_, file, *, local_files_only=False, **__):
        if local_files_only:
            raise FileNotFoundError
        return str(tmp_path / file)

    online_hub(monkeypatch, tmp_path, download)
    with pytest.raises(ModelError, match=r"config.json is malicious"):
        hugging_face_hub.find_model("a/b", trust=False, needs_weights=True)
