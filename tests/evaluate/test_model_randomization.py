"""Random kernels: which layers get them, in which order, and that the model has its own again, after Ctrl+C too."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.contracts.in_onnx import exported
from tests.evaluate import known_models
from tests.evaluate.known_models import classless, explainer, hirescam
from tests.two_towers import Towers, tokenize

import seewhy
from seewhy import Classifier, Explainer, evaluate
from seewhy.errors import ModelError
from seewhy.evaluate.model_randomization import layer_parts, random_like, random_stages
from seewhy.targets import Class, Prompt


def small():
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
    model = torch.nn.Sequential(
        *(convolution, torch.nn.ReLU(), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.ReLU()),
        *(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 3)),
    )
    return model.eval()


def facts(model):
    return [(id(each), each._version, each.detach().numpy().tobytes()) for each in model.parameters()]


def test_the_stages_go_from_the_output_to_the_input():
    kernels = {name: (np.random.default_rng(0).normal(1, 2, (40, 50)),) for name in "abc"}
    cascade = list(random_stages(kernels, [["c"], ["b", "a"]], "cascading", 0))
    alone = list(random_stages(kernels, [["c"], ["b", "a"]], "independent", 0))
    assert [set(each) for each in cascade] == [{"c"}, {"a", "b", "c"}]
    assert [set(each) for each in alone] == [{"c"}, {"a", "b"}]
    np.testing.assert_array_equal(cascade[1]["c"][0], cascade[0]["c"][0])
    np.testing.assert_array_equal(cascade[1]["a"][0], alone[1]["a"][0])
    assert not np.array_equal(cascade[1]["a"][0], cascade[1]["b"][0])
    drawn = random_like(kernels["a"][0], np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(1, abs=0.2)
    assert np.abs(drawn - kernels["a"][0].mean()).max() <= 2.0001 * kernels["a"][0].std()


def test_the_layers_are_in_the_order_in_which_they_run():
    model = small()
    reordered = torch.nn.Module()  # whose attributes are in another order than its calls
    reordered.last, reordered.body = model[7], model[:7]
    reordered.forward = lambda images: reordered.last(reordered.body(images))
    maker = Explainer(Classifier(reordered.eval(), input_size=(16, 16)))
    assert layer_parts(maker, known_models.images(), Class((0,)), 2) == [["last", "body.3"], ["body.0"]]


class Heads(torch.nn.Module):
    """A model of two outputs, with a head that only training uses and attention whose matrices others read."""

    def __init__(self):
        super().__init__()
        self.conv, self.aside = torch.nn.Conv2d(3, 4, 3, stride=4), torch.nn.Linear(4, 2)
        self.attention = torch.nn.MultiheadAttention(4, 1, batch_first=True)
        self.kind, self.breed = torch.nn.Linear(4, 2), torch.nn.Linear(4, 5)

    def forward(self, images):
        tokens = self.conv(images).flatten(2).transpose(1, 2)
        pooled = (tokens + self.attention(tokens, tokens, tokens)[0]).mean(1)
        outputs = {"kind": self.kind(pooled), "breed": self.breed(pooled)}
        return {**outputs, "aside": self.aside(pooled)} if self.training else outputs


def test_layers_on_which_the_scores_do_not_depend_stay_as_they_are():
    torch.manual_seed(0)
    maker = Explainer(Classifier(Heads().eval(), input_size=(16, 16)), "gradcam", "conv", output="breed")
    images, every = known_models.images(), Class((0,))
    parts = layer_parts(maker, images[:1], every, 9)
    assert parts[0] == ["breed"]
    assert {path for part in parts for path in part} == {"breed", "attention", "attention.out_proj", "conv"}
    values = evaluate.independent_randomization(maker, images, "top-5", stages=9)
    assert values.shape == (len(images), 5)


@pytest.mark.parametrize("backend", [None, "onnx"])
def test_a_model_keeps_its_weights_bit_for_bit_also_when_interrupted(backend):
    model = small()
    before = facts(model)
    maker = Explainer(Classifier(model, input_size=(16, 16)), "gradcam", backend=backend)
    found = evaluate.randomization_curve(maker, known_models.images(), [0], stages=3)
    assert facts(model) == before
    assert (found.x == [1 / 3, 2 / 3, 1]).all()
    assert (found.y[..., 1:] < 0.999).all()  # the last layer alone may keep the order by chance

    class Interrupting(torch.nn.Module):
        def forward(self, values):
            if [id(each) for each in model.parameters()] != [each[0] for each in before]:
                raise KeyboardInterrupt
            return values

    model.append(Interrupting())
    with pytest.raises(KeyboardInterrupt):
        evaluate.model_randomization(
            Explainer(Classifier(model, input_size=(16, 16)), "gradcam"), known_models.images()
        )
    assert facts(model) == before


def test_a_method_that_ignores_the_model_does_not_change():
    classifier, images = Classifier(small(), input_size=(16, 16)), known_models.images()
    of_the_input = replace(known_models.method("input", classless), level="input")
    ignorant, faithful = (
        evaluate.model_randomization(Explainer(classifier, each), images, [0], similarity=similarity)
        for each, similarity in ((of_the_input, "ssim"), ("gradcam", "spearman"))
    )
    np.testing.assert_allclose(ignorant, 1)
    assert (faithful < 0.9).all()


def test_kernels_are_matrices_and_shared_ones_belong_to_one_layer():
    model = small()
    model[3].weight = torch.nn.Parameter(model[3].weight)
    model.append(torch.nn.Linear(3, 3, bias=False))
    model.append(torch.nn.Linear(3, 3))
    model[9].weight = model[8].weight
    framework = Classifier(model, input_size=(16, 16)).framework
    kernels = framework.kernels()
    assert {path: [array.shape for array in arrays] for path, arrays in kernels.items()} == {
        "0": [(4, 3, 3, 3)],
        "3": [(4, 4, 3, 3)],
        "7": [(3, 4)],
        "8": [(3, 3)],
    }
    with framework.with_kernels({"8": (np.zeros((3, 3)),)}):
        assert not model[9].weight.any()
        assert model[9].weight is model[8].weight
    assert model[9].weight.any()


def test_a_model_without_kernels():
    model = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.Flatten())
    with pytest.raises(ModelError, match="No layer of the model has a kernel"):
        evaluate.model_randomization(
            Explainer(Classifier(model.eval(), input_size=(16, 16)), "gradient_x_input"), known_models.images(), [0]
        )


def test_a_linear_model_with_random_weights_has_another_map():
    found = evaluate.model_randomization(
        explainer(known_models.linear(known_models.quadrant()), hirescam), known_models.images(), [0], stages=1
    )
    assert (np.abs(found) < 0.5).all()


def test_an_onnx_model_agrees_with_its_module_and_is_copied():
    model = small()
    proto = exported(model, (3, 16, 16))
    ours, theirs = Classifier(seewhy.OnnxModel(proto)), Classifier(model, input_size=(16, 16))
    images, maps = known_models.images(), known_models.images(seed=1)[:, 0]
    for function in (evaluate.insertion, evaluate.mufidelity, evaluate.average_drop):
        options = {"steps": 4} if function is evaluate.insertion else {}
        values = [function(each, images, maps, [0], **options) for each in (ours, theirs)]
        np.testing.assert_allclose(*values, rtol=1e-4, atol=1e-6)
    content = ours.model.proto.SerializeToString()
    kernels, wanted = (list(each.framework.kernels().values()) for each in (ours, theirs))
    assert [[array.shape for array in arrays] for arrays in kernels] == [
        [array.shape for array in each] for each in wanted
    ]
    own = evaluate.model_randomization(Explainer(ours, "gradcam"), images, [0], stages=3)
    assert (own < 0.999).all()
    for backend in ("openvino", "onnx"):  # which ran the own kernels once, and found nothing changed
        for each in (ours, theirs):
            found = evaluate.model_randomization(Explainer(each, "gradcam", backend=backend), images, [0], stages=3)
            np.testing.assert_allclose(found, own, atol=1e-3)
    assert ours.model.proto.SerializeToString() == content


def test_prompts_keep_their_embeddings_while_the_image_tower_becomes_random():
    torch.manual_seed(0)
    model = Towers()
    with torch.no_grad():
        model.map.weight += torch.rand(model.map.weight.shape)
    given = Classifier(model, input_size=(16, 16), tokenizer=tokenize)
    alone, zero_shot = Explainer(given, "gradcam"), Explainer(given.with_prompts(["red", "blue"]), "gradcam")
    images = known_models.images()
    assert layer_parts(alone, images[:1], given.resolve(Prompt("red")), 9) == [["map"]]
    values = evaluate.model_randomization(alone, images, [Prompt("red"), Prompt("blue")])
    assert (values < 0.999).all()
    np.testing.assert_allclose(evaluate.model_randomization(zero_shot, images, [0, 1]), values, atol=1e-6)
    assert model.texts_run == 2
    before = alone.heatmaps(images, Prompt("red")).values
    np.testing.assert_array_equal(zero_shot.heatmaps(images, "red").values, before)
