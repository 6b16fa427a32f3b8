"""ONNX models.

ONNX Runtime has no gradients, and a session runs a graph as a whole. So a tap is a cut: the model is run with the
tapped value as a further output, and its head is a session of its own, forward or backward. The backward
pass is made of ONNX nodes too, and only for the head.
"""

import copy
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import LayerError, OptionError
from seewhy.frameworks import array_namespace as xp
from seewhy.frameworks.base import Framework, Head
from seewhy.frameworks.compiled import CompiledCache
from seewhy.frameworks.dataflow import Operation, carriers, origins
from seewhy.frameworks.device import Device
from seewhy.frameworks.export_settings import ExplainedModel, ExportSettings
from seewhy.frameworks.fingerprint import fingerprint
from seewhy.frameworks.kernels import Kernels
from seewhy.frameworks.layers import INPUT_CALL, LayerCall, LayerChoice, check_tapped
from seewhy.frameworks.layouts import layer_layout
from seewhy.frameworks.loss_scale import scaled_gradients
from seewhy.frameworks.map_layout import joined_gradients, separate_gradients
from seewhy.frameworks.model_layers import ModelLayers
from seewhy.frameworks.onnx.attention import AttentionMaps, AttentionTap, attention_maps
from seewhy.frameworks.onnx.calls import value_calls
from seewhy.frameworks.onnx.device import CPU, provider_of
from seewhy.frameworks.onnx.graph import Graph, reads
from seewhy.frameworks.onnx.image_axes import followed_image_axes
from seewhy.frameworks.onnx.kernels import kernels_of, with_kernels
from seewhy.frameworks.onnx.logits import bypass_final_activation
from seewhy.frameworks.onnx.measured_shapes import measure_values
from seewhy.frameworks.onnx.model import OnnxModel
from seewhy.frameworks.onnx.model_inputs import (
    as_input,
    declared_inputs,
    has_channels_first,
    type_of,
    with_default_sizes,
)
from seewhy.frameworks.onnx.part import CountSource, Part, whole
from seewhy.frameworks.onnx.scored_values import score_values
from seewhy.frameworks.onnx.sessions import Sessions
from seewhy.frameworks.onnx.shapes import Shape, ValueInfo
from seewhy.frameworks.onnx.stem import find_stem_inputs, is_unscaled
from seewhy.frameworks.onnx.tap import Tap
from seewhy.frameworks.outputs import Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.recorder import translated_errors
from seewhy.frameworks.stem import StemInput, StemValues
from seewhy.frameworks.structures import ArrayTree, InputBatch, InputSpec, check_arrays, leaves, only_leaf, shape_key
from seewhy.targets import Objective, TopK
from seewhy.types import (
    AttentionCapture,
    Backend,
    Capture,
    Derivatives,
    FloatArray,
    GradientRule,
    NativeTensor,
    Precision,
)


@final
class Onnx(Framework):
    """An ONNX model.

    Args:
        model: The model.
        precision: "bfloat16" only where OpenVINO runs it.
        output_tree: The names of its outputs in the structure in which they are read, such as that of the model which
            was exported; by default one output, or a dict of several by name.
        runtime: What runs it: "onnx" is ONNX Runtime.
    """

    name = "onnx"
    xp = xp

    def __init__(
        self,
        model: OnnxModel,
        precision: Precision = "float32",
        output_tree: ArrayTree = None,
        runtime: Backend = "onnx",
    ) -> None:
        if precision != "float32" and runtime == "onnx":
            raise OptionError(
                f"precision={precision!r} is not for ONNX models, which run in the types that they have. Leave it out, "
                "or run the model in OpenVINO or in a framework: backend='openvino', or for efficientnet-lite0 "
                "backend='tensorflow', 'jax' or 'torch'."
            )
        self._model, self._precision = model, precision
        self._output_tree, self._runtime = output_tree, runtime
        self._inputs = declared_inputs(model.proto)
        self._channels_first = has_channels_first(model.proto, *next(iter(self._inputs.items())))
        sizes = {shape[0] for shape in self._inputs.values() if shape}
        self.batch_size = next(iter(sizes)) if len(sizes) == 1 else None
        self._graphs, self._compiled = CompiledCache(), CompiledCache()
        self._sessions = Sessions(model, runtime, precision)
        self._model_layers = ModelLayers(self._layers, list)

    def __reduce__(self) -> tuple[type["Onnx"], tuple[Any, ...]]:
        return type(self), (self._model, self._precision, self._output_tree, self._runtime)

    def on(self, runtime: Backend, precision: Precision) -> "Onnx":
        """Return what runs the same model in another runtime."""
        return Onnx(self._model, precision, self._output_tree, runtime)

    @property
    def channels_first(self) -> bool:
        """Whether images are (N, K, h, w): the first convolution tells, or the axis of 1, 3 or 4 channels."""
        return self._channels_first

    def is_channels_first(self, name: str, shape: Shape) -> bool:
        return has_channels_first(self._model.proto, name, self._inputs[name])

    def declared_inputs(self) -> tuple[str, ...]:
        return tuple(self._inputs)

    def fingerprint(self) -> str:
        graph = self._model.proto.graph
        parts = (part for parts in (graph.input, graph.output, graph.node, graph.initializer) for part in parts)
        contents = (part.SerializeToString(deterministic=True) for part in parts)  # the whole may exceed 2 GB
        versions = [[opset.domain, opset.version] for opset in self._model.proto.opset_import]
        return fingerprint(versions, (("", np.frombuffer(content, np.uint8)) for content in contents))

    def layer_paths(self) -> tuple[str, ...]:
        return tuple(self._model_layers.now().by_path)

    def path_of(self, layer: object) -> None:
        """Return None: the layers of an ONNX model are no objects."""

    def move_to(self, device: Device) -> Any:
        model = copy.copy(self._model)
        model.providers = tuple(dict.fromkeys((provider_of(device), CPU)))
        self._model, self._sessions = model, Sessions(model, self._runtime, self._precision)
        return model

    def kernels(self) -> Kernels:
        return kernels_of(self._model.proto)

    @contextmanager
    def with_kernels(self, kernels: Kernels) -> Iterator[Framework]:
        proto = with_kernels(self._model.proto, kernels)
        options = {"providers": self._model.providers, "threads": self._model.threads}
        model = OnnxModel(proto, name=self._model.name, **options)
        changed = Onnx(model, self._precision, self._output_tree, self._runtime)
        changed._model_layers = self._model_layers  # the layers are the same, and what is known of them
        yield changed

    def input_shape(self) -> Any:
        """Return the shape of the input; of several, a dict of shapes by name."""
        shapes = {name: (None, *shape[1:]) for name, shape in self._inputs.items()}
        return next(iter(shapes.values())) if len(shapes) == 1 else shapes

    def input_types(self) -> Any:
        types = {value.name: type_of(value) for value in self._model.proto.graph.input if value.name in self._inputs}
        return next(iter(types.values())) if len(types) == 1 else types

    def check_inputs(self, inputs: InputSpec) -> InputBatch:
        """Return `inputs` as (N, ...): one array, or several by name; a list is taken in the order of the inputs."""
        names = list(self._inputs)
        if len(names) > 1 and isinstance(inputs, (list, tuple)) and len(inputs) == len(names):
            inputs = dict(zip(names, inputs, strict=True))
        return check_arrays(inputs, self.input_shape(), self.declared_inputs())

    def declared_labels(self) -> None:
        """Return None: what the file says of its classes is read when it is loaded."""

    def to_numpy(self, tensor: NativeTensor) -> NDArray[Any]:
        return np.asarray(tensor)

    def calls(self, inputs: InputBatch) -> tuple[LayerCall, ...]:
        key = ("calls", shape_key(inputs))
        calls: tuple[LayerCall, ...] = self._graphs.get(
            key, lambda: value_calls(self._graph(inputs), channels_first=self.channels_first)
        )
        return calls

    def predict(self, inputs: InputBatch, output: int | str | None = None) -> NDArray[Any] | None:
        graph = self._graph(inputs)
        selected = self._select(graph, Objective(TopK(), output=output))
        with self._translated(inputs):
            values = self._run(graph, selected.tensors, inputs)
        return selected.read(values).probabilities

    def capture(
        self,
        inputs: InputBatch,
        layer: LayerChoice,
        objective: Objective,
        derivatives: Derivatives = "gradients",
        gradient_rule: GradientRule = "plain",
    ) -> Capture:
        graph, call = self._graph(inputs), self._call(inputs, layer)
        selected = self._select(graph, objective)
        differentiated = _differentiated(selected, objective)
        key = (
            shape_key(inputs),
            graph.value_of(call),
            tuple(selected.tensors),
            tuple(differentiated),
            derivatives,
            gradient_rule,
        )
        with self._translated(inputs):
            tap: Tap = self._compiled.get(
                key,
                lambda: Tap(graph, call, selected.tensors, differentiated, derivatives, gradient_rule, self._sessions),
            )
            values = tap.forward(self._feeds(inputs))
        scored = score_values(selected, objective, differentiated, values)
        captured: dict[str, Any] = {"gradients": None, "closed_form": None}
        if derivatives == "gradients" or tap.has_closed_form:
            name, of_classes, compute = (
                ("closed_form", tap.class_maps, tap.closed_form)
                if tap.has_closed_form
                else ("gradients", tap.class_gradients, tap.gradients)
            )
            classes = scored.class_indices()
            with self._translated(inputs):
                captured[name] = None if classes is None else of_classes(values, classes)
                if captured[name] is None:
                    captured[name] = self._scaled(graph, partial(compute, values), scored.seeds())
        return Capture(
            activations=tap.activations(values),
            **scored.fields(),
            layer=layer.named(call),
            xp=xp,
            is_bypassed=self._is_bypassed(graph, tap.value, selected),
            **captured,
        )

    def capture_attention(
        self, inputs: InputBatch, objective: Objective, derivatives: Derivatives = "gradients"
    ) -> AttentionCapture:
        graph, maps = self._graph(inputs), self._attention_maps(inputs)
        selected = self._select(graph, objective)
        differentiated = _differentiated(selected, objective)
        key = (shape_key(inputs), "attention", tuple(selected.tensors), tuple(differentiated), derivatives)
        with self._translated(inputs):
            tap: AttentionTap = self._compiled.get(
                key, lambda: AttentionTap(graph, maps, selected.tensors, differentiated, derivatives, self._sessions)
            )
            values = tap.forward(self._feeds(inputs))
        scored = score_values(selected, objective, differentiated, values)
        found, gradients = tap.maps(values, len(leaves(inputs)[0])), None
        if derivatives == "gradients":
            seeds = scored.seeds()

            def together(seeds: Mapping[str, NDArray[Any]]) -> FloatArray:
                return np.asarray(joined_gradients(tap.gradients(values, seeds), xp))

            with self._translated(inputs):
                gradients = separate_gradients(self._scaled(graph, together, seeds), found, xp)
        return AttentionCapture(maps=found, gradients=gradients, **scored.fields(), xp=xp)

    def attention_shapes(self, inputs: InputBatch) -> tuple[tuple[int, ...], ...]:
        try:
            return self._attention_maps(inputs).shapes
        except LayerError:
            return ()

    def attention_links(self, inputs: InputBatch) -> tuple[bool, ...]:
        return self._attention_maps(inputs).links if self.attention_shapes(inputs) else ()

    def _attention_maps(self, inputs: InputBatch) -> AttentionMaps:
        graph, images = self._graph(inputs), len(leaves(inputs)[0])
        key = ("attention maps", graph.version, images)
        maps: AttentionMaps = self._compiled.get(key, lambda: attention_maps(graph, images))
        return maps

    def head(self, inputs: InputBatch, layer: LayerChoice, objective: Objective) -> Head:
        graph, call = self._graph(inputs), self._call(inputs, layer)
        selected, objective = self._select(graph, objective), objective.for_image(0)
        value = graph.value_of(call)
        axis = graph.image_axis(value)
        source = None if axis is None else CountSource(value, axis)
        part = Part(graph, [value], selected.tensors, graph.descendants([value]), count_source=source)
        with self._translated(inputs):
            run = self._sessions.get(part)
            bypass = dict(zip(part.bypass, self._run(graph, part.bypass, inputs), strict=True))
        is_row_wise = all(graph.image_axis(name) == 0 for name in (value, *part.bypass)) and self.batch_size is None

        def outputs(rows: NDArray[Any]) -> list[NDArray[Any]]:
            given = {
                name: np.repeat(array, len(rows), axis=0) if is_row_wise else array for name, array in bypass.items()
            }
            values = run({**given, value: np.swapaxes(rows, 0, 1) if call.images_second else rows})
            return [values[name] for name in selected.tensors]

        def scores(perturbations: NDArray[Any]) -> NDArray[Any]:
            size = self.batch_size or (len(perturbations) if is_row_wise else 1)
            rows = np.ascontiguousarray(layer_layout(call, perturbations), dtype=graph.dtype(value))
            with self._translated(inputs):
                parts = [outputs(rows[start : start + size]) for start in range(0, len(rows), size)]
            joined = selected.read([np.concatenate(values) for values in zip(*parts, strict=True)])
            arrays = objective.target.arrays(len(perturbations))
            return np.asarray(joined.score(objective, arrays, xp).scores, np.float32)

        return scores

    def explained_model(self, inputs: InputBatch, layer: LayerChoice, settings: ExportSettings) -> ExplainedModel:
        from seewhy.frameworks.onnx.explained_model import explained_model  # which few runs need

        graph, objective = self._graph(inputs), Objective(TopK(), settings.score, settings.output)
        output = self._select(graph, objective).tensors[0]
        with self._translated(inputs):
            return explained_model(graph, self._call(inputs, layer), output, settings, self._sessions)

    def carrying_calls(self, inputs: InputBatch, objective: Objective) -> frozenset[tuple[str, int]]:
        graph = self._graph(inputs)
        found = self._carriers(graph, self._select(graph, objective))
        return frozenset((call.path, call.execution) for call in self.calls(inputs) if call.path in found)

    def origins(self, inputs: InputBatch) -> Mapping[tuple[str, int], frozenset[int]]:
        graph, names = self._graph(inputs), list(self._by_name(inputs))

        def find() -> dict[Hashable, frozenset[int]]:
            return origins([Operation(list(reads(node)), list(node.output)) for node in graph.nodes], names)

        found: dict[Hashable, frozenset[int]] = self._compiled.get(("origins", graph.version, tuple(names)), find)
        return {(call.path, call.execution): found[call.path] for call in self.calls(inputs) if call.path in found}

    def moves_image(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> bool:
        size, found = self.image_size(inputs, leaf), self._stem(inputs, layer, leaf)
        return any(stem.is_moved(size) for stem in found)

    def stem_values(self, inputs: InputBatch, layer: LayerChoice, leaf: int = 0) -> list[StemValues]:
        graph, found = self._graph(inputs), self._stem(inputs, layer, leaf)
        with self._translated(inputs):
            values = self._run(graph, [stem.tensor for stem in found], inputs)
        return [
            StemValues(np.moveaxis(np.asarray(value, np.float32), stem.axes, (1, 2)), stem.window)
            for value, stem in zip(values, found, strict=True)
        ]

    def is_unscaled(self, inputs: InputBatch) -> bool:
        return isinstance(self.input_shape(), tuple) and is_unscaled(self._graph(inputs))

    def _stem(self, inputs: InputBatch, layer: LayerChoice, leaf: int) -> list[StemInput]:
        image = list(self._by_name(inputs))[leaf]
        return find_stem_inputs(self._graph(inputs), image, self._call(inputs, layer))

    def _layers(self) -> dict[str, Any]:
        shapes = {name: with_default_sizes(shape) for name, shape in self._inputs.items()}
        graph = self._inferred_graph(shapes)
        return {call.path: call for call in value_calls(graph, channels_first=self.channels_first)}

    def _call(self, inputs: InputBatch, layer: LayerChoice) -> LayerCall:
        if layer.is_input:
            number = list(self._inputs).index(list(self._by_name(inputs))[layer.leaf]) + 1
            is_first = self.has_channels_first(inputs, layer.leaf)
            return replace(INPUT_CALL, execution=number, channels_first=is_first)
        self._model_layers.now().check(layer)
        return check_tapped(layer, self.calls(inputs))

    def _graph(self, inputs: InputBatch) -> Graph:
        shapes = {name: (self.batch_size, *array.shape[1:]) for name, array in self._by_name(inputs).items()}
        inferred = self._inferred_graph(shapes)
        if not inferred.unknown:
            return inferred

        def measure() -> Graph:
            with self._translated(inputs):
                measured = measure_values(inferred, self._feeds(inputs), self._sessions, self.batch_size)
            return self._new_graph(shapes, measured)

        graph: Graph = self._graphs.get(("measured", *shapes.items()), measure)
        return graph

    def _inferred_graph(self, shapes: Mapping[str, Shape]) -> Graph:
        graph: Graph = self._graphs.get(("inferred", *shapes.items()), lambda: self._new_graph(shapes))
        return graph

    def _new_graph(self, shapes: Mapping[str, Shape], measured: Mapping[str, ValueInfo] | None = None) -> Graph:
        graph = Graph(self._model.proto, shapes, measured)
        if self.batch_size is not None:
            graph.set_image_axes(followed_image_axes(graph, self.batch_size))
        return graph

    def _select(self, graph: Graph, objective: Objective) -> SelectedOutputs:
        outputs = graph.outputs
        tree: Any = outputs[0] if len(outputs) == 1 else {name: name for name in outputs}
        tree = tree if self._output_tree is None else self._output_tree

        def read(raw: NDArray[Any], logits: NDArray[Any], activation: Any, tree: Any) -> Outputs:
            wide = logits if logits.dtype == np.float64 else np.asarray(logits, np.float32)
            return Outputs.read(raw, wide.reshape(raw.shape), activation, xp, tree)

        return select_outputs(
            tree, objective, lambda value: isinstance(value, str), partial(bypass_final_activation, graph), read
        )

    def _run(self, graph: Graph, names: Sequence[str], inputs: InputBatch) -> list[NDArray[Any]]:
        """Return the values of these names."""
        feeds = self._feeds(inputs)
        computed = [name for name in names if name not in feeds]
        values = {**feeds, **(self._sessions.get(whole(graph, computed))(feeds) if computed else {})}
        return [values[name] for name in names]

    def _scaled(
        self,
        graph: Graph,
        compute: Callable[[Mapping[str, NDArray[Any]]], FloatArray],
        seeds: Mapping[str, NDArray[Any]],
    ) -> FloatArray:
        """Run backward, with the scores scaled as far as float16 allows where an output is in float16."""
        if all(graph.dtype(name) != np.float16 for name in seeds):
            return compute(seeds)

        def run(scales: FloatArray) -> FloatArray:
            return compute({name: seed * scales[(..., *(None,) * (seed.ndim - 2))] for name, seed in seeds.items()})

        shape = next(iter(seeds.values())).shape[:2]
        scaled: FloatArray = scaled_gradients(run, shape, xp, np.asarray, np.asarray)
        return scaled

    def _is_bypassed(self, graph: Graph, value: str, selected: SelectedOutputs) -> bool:
        return value not in self._carriers(graph, selected)

    def _carriers(self, graph: Graph, selected: SelectedOutputs) -> frozenset[Hashable]:
        results = tuple(selected.tensors if selected.logits is None else selected.tensors[1:])

        def find() -> frozenset[Hashable]:
            operations = [
                Operation([name for name in reads(node) if name in graph.dependent], list(node.output))
                for node in graph.nodes
            ]
            return carriers(operations, graph.inputs, results)

        found: frozenset[Hashable] = self._compiled.get(("carriers", graph.version, results), find)
        return found

    def _by_name(self, inputs: InputBatch) -> dict[str, NDArray[Any]]:
        if isinstance(inputs, dict):
            return inputs
        return dict(zip(self._inputs, [only_leaf(inputs)], strict=True))

    def _feeds(self, inputs: InputBatch) -> dict[str, NDArray[Any]]:
        given = self._by_name(inputs)
        return {
            value.name: as_input(given[value.name], value)
            for value in self._model.proto.graph.input
            if value.name in given
        }

    def _translated(self, inputs: InputBatch) -> AbstractContextManager[None]:
        return translated_errors(inputs, self._sessions.failures, None)


def _differentiated(selected: SelectedOutputs, objective: Objective) -> list[str]:
    """Return the outputs that an objective depends on."""
    if selected.logits is None:
        return list(selected.tensors)
    logits = [selected.logits] if objective.reads_one_output else []
    return [*logits, *selected.tensors[2:]]
