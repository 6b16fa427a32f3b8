"""A framework that runs another one; what both have in common is passed on here, so that no wrapper forgets a part."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

from seewhy.frameworks.base import CaptureType, Framework
from seewhy.frameworks.declared_input import DeclaredInput
from seewhy.frameworks.evidence import Evidence
from seewhy.frameworks.export_settings import ExplainedModel, ExportSettings
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import LayerCall, LayerChoice
from seewhy.frameworks.stem import StemValues
from seewhy.frameworks.structures import InputBatch, InputSpec
from seewhy.frameworks.tokens import TokenFacts
from seewhy.targets import Objective
from seewhy.types import AttentionCapture, Derivatives, NativeTensor, Tensor


class FrameworkWrapper(Framework):
    """Leaves layers, attention, weights and tensors to another framework. Subclasses change what differs.

    Args:
        framework: Runs the model.
    """

    def __init__(self, framework: Framework) -> None:
        self._framework = framework
        self.name = framework.name
        self.xp = framework.xp
        self.batch_size = framework.batch_size
        self.compiles_batch_size = framework.compiles_batch_size

    def _inner_inputs(self, inputs: InputBatch) -> InputBatch:
        """Return the inputs that the other framework is given, where their shapes and structure are what counts."""
        return inputs

    @property
    def evidence(self) -> Evidence:
        return self._framework.evidence

    @property
    def token_facts(self) -> TokenFacts:
        return self._framework.token_facts

    def explaining(self, inputs: InputBatch) -> AbstractContextManager[None]:
        return self._framework.explaining(self._inner_inputs(inputs))

    def layer_paths(self) -> tuple[str, ...]:
        return self._framework.layer_paths()

    def path_of(self, layer: object) -> str | None:
        return self._framework.path_of(layer)

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        return self._framework.calls(self._inner_inputs(inputs))

    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        return self._framework.origins(self._inner_inputs(inputs))

    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        return self._framework.moves_image(self._inner_inputs(inputs), layer, leaf)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        return self._framework.stem_values(self._inner_inputs(inputs), layer, leaf)

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        return self._framework.capture_attention(self._inner_inputs(inputs), objective, derivatives)

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        return self._framework.attention_shapes(self._inner_inputs(inputs))

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        return self._framework.attention_links(self._inner_inputs(inputs))

    def kernels(self) -> Kernels:
        return self._framework.kernels()

    def fingerprint(self) -> str:
        return self._framework.fingerprint()

    def apply(self, method: Callable[[CaptureType], Tensor], capture: CaptureType) -> Tensor:
        return self._framework.apply(method, capture)

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        return self._framework.to_numpy(tensor)


class SameInputsWrapper(FrameworkWrapper):
    """Takes the inputs that the other framework takes."""

    @property
    def channels_first(self) -> bool:
        return self._framework.channels_first

    def input_shape(self) -> Any:
        return self._framework.input_shape()

    def spatial_axes(self) -> int | None:
        return self._framework.spatial_axes()

    def input_types(self) -> Any:
        return self._framework.input_types()

    def declared_size(self) -> tuple[int, int] | None:
        return self._framework.declared_size()

    def declared_input(self) -> DeclaredInput | None:
        return self._framework.declared_input()

    def declared_inputs(self) -> tuple[str, ...]:
        return self._framework.declared_inputs()

    def declared_labels(self) -> Mapping[Any, Any] | None:
        return self._framework.declared_labels()

    def input_names(self, inputs: InputBatch) -> tuple[str, ...]:
        return self._framework.input_names(inputs)

    def input_count(self) -> int:
        return self._framework.input_count()

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        return self._framework.check_inputs(inputs)

    def is_channels_first(self, name: str, shape: tuple[int | None, ...]) -> bool:
        return self._framework.is_channels_first(name, shape)

    def arranged(self, sample: Any) -> Any:
        return self._framework.arranged(sample)

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]] | None:
        return self._framework.carrying_calls(self._inner_inputs(inputs), objective)

    def is_unscaled(self, inputs: InputBatch) -> bool:
        return self._framework.is_unscaled(self._inner_inputs(inputs))

    def explained_model(self, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings) -> ExplainedModel:
        return self._framework.explained_model(self._inner_inputs(inputs), layer, settings)
