"""How the contracts look at what a tap leaves behind."""

from types import SimpleNamespace

from tests.sample_models import PAPER_INPUT

from seewhy.frameworks import LayerChoice, framework_for
from seewhy.targets import Class, Objective

BOTH = Class((0, 1))


def capture(
    model,
    layer="conv",
    target=BOTH,
    inputs=PAPER_INPUT,
    score="logit",
    derivatives="gradients",
    gradient_rule="plain",
    precision="float32",
):
    """Capture with the framework the model belongs to, and bring everything into NumPy."""
    framework = framework_for(model, precision)
    layer = layer if isinstance(layer, LayerChoice) else framework.find_layer(layer)
    captured = framework.capture(
        framework.check_inputs(inputs), layer, Objective(target, score), derivatives, gradient_rule
    )
    arrays = {name: value for name, value in vars(captured).items() if name not in ("layer", "xp")}
    return SimpleNamespace(
        layer=captured.layer,
        **{name: value if value is None else framework.to_numpy(value) for name, value in arrays.items()},
    )
