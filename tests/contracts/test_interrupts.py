"""Ctrl+C at any instant leaves nothing behind in the user's model or in the framework; and odd exceptions of layers."""

import keras
import numpy as np
import pytest
from keras import layers
from tests.contracts.interrupting import Interrupter, points
from tests.sample_models import Subclassed

import seewhy
from seewhy.errors import ModelRunError
from seewhy.frameworks.keras.private_api import thread_state
from seewhy.frameworks.keras.restore import SCOPES

METHODS = ("layercam", "guided_backprop", "ablationcam")
MORE = pytest.mark.slow(
    reason="traces the model anew for every instant; gradcam, and all methods on torch, show the same"
)
INPUTS = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32)
PACKAGES = ("seewhy/frameworks", "keras/src/backend/common", "keras/src/layers/layer.py", "torch/utils/_contextlib",
            "torch/overrides", "torch/autograd/grad_mode", "torch/utils/_python_dispatch", "torch/nn/modules/module",
            )  # fmt: skip


def keras_model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.5),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def keras_state(model):
    """Return all that a run touches: hooks, scopes, losses, and TensorFlow's name scope."""
    scopes = {name: repr(value) for name, value in thread_state().items() if name in SCOPES and value}
    calls = [{"call", "quantized_call"} & set(vars(layer)) for layer in model.layers]
    state = [scopes, calls, [list(layer.losses) for layer in model.layers]]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.name_scope("probe") as scope:
            state.append(scope)
    return state


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # interrupts in generators being closed
@pytest.mark.parametrize("method", ["gradcam", *(pytest.param(name, marks=MORE) for name in METHODS)])
def test_an_interrupt_leaves_nothing_behind_in_keras(method):
    model = keras_model()
    explainer = seewhy.Explainer(model, method)
    expected, before = explainer.heatmaps(INPUTS, 0).values, keras_state(model)
    interrupter = Interrupter(*PACKAGES)
    interrupter.run(lambda: seewhy.Explainer(model, method).heatmaps(INPUTS, 0))
    interrupted = 0
    for point in points(interrupter.count, 6):
        interrupted += interrupter.run(lambda: seewhy.Explainer(model, method).heatmaps(INPUTS, 0), point)
        assert keras_state(model) == before, point
    assert interrupted > 4
    np.testing.assert_array_equal(explainer.heatmaps(INPUTS, 0).values, expected)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # interrupts in generators being closed
@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("gradcam", 30),
        *(
            pytest.param(name, 60, marks=pytest.mark.slow(reason="ninety runs; gradcam shows the same"))
            for name in ("guided_backprop", "ablationcam")
        ),
    ],
)
def test_an_interrupt_leaves_nothing_behind_in_torch(method, wanted):
    torch = pytest.importorskip("torch")
    from seewhy.frameworks.torch.private_api import is_autograd_excluded, modes

    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Dropout(),
        torch.nn.Conv2d(4, 4, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 3),
    ).train()  # fmt: skip
    model[3].eval()
    inputs = INPUTS.transpose(0, 3, 1, 2)

    def state():
        return (
            [
                (module.training, len(module._forward_hooks), len(module._forward_pre_hooks))
                for module in model.modules()
            ],
            [buffer.tolist() for buffer in model.buffers()],
            [parameter.grad for parameter in model.parameters()],
            (modes(), torch.is_grad_enabled(), is_autograd_excluded()),
            (torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        )

    def run():
        return seewhy.Explainer(model, method).heatmaps(inputs, 0)

    expected, before = run().values, state()
    interrupter = Interrupter(*PACKAGES)
    interrupter.run(run)
    interrupted = 0
    for point in points(interrupter.count, wanted):
        interrupted += interrupter.run(run, point)
        assert state() == before, point
    assert interrupted > wanted / 2
    np.testing.assert_array_equal(run().values, expected)


class Raising(Subclassed):
    failure: BaseException | None = None

    def call(self, inputs):
        if self.failure is not None:
            raise self.failure
        return super().call(inputs)


@pytest.mark.parametrize("failure", [MemoryError(), StopIteration(), StopIteration("end"), OSError("disk"), EOFError()])
def test_odd_exceptions_of_a_keras_layer_are_translated(failure):
    model = Raising()
    model(INPUTS)
    model.failure = failure
    with pytest.raises(ModelRunError, match="cannot run on an input of shape"):
        seewhy.Explainer(model).heatmaps(INPUTS, 0)


@pytest.mark.parametrize("failure", [MemoryError(), StopIteration(), StopIteration("end"), OSError("disk"), EOFError()])
def test_odd_exceptions_of_a_torch_module_are_translated(failure):
    torch = pytest.importorskip("torch")

    class Failing(torch.nn.Module):
        def forward(self, inputs):
            raise failure

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), Failing())
    with pytest.raises(
        ModelRunError, match=f"cannot run on an input of shape .*: .*({type(failure).__name__}|end|disk)"
    ):
        seewhy.Explainer(model).heatmaps(INPUTS.transpose(0, 3, 1, 2), 0)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_error_while_an_earlier_interrupt_is_handled_is_not_that_interrupt():
    model = Raising()
    model(INPUTS)
    model.failure = ValueError("odd")
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(ModelRunError):
            seewhy.Explainer(model).heatmaps(INPUTS, 0)
