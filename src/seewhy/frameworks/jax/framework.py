"""Keras models on JAX.

The model is traced once for each shape of input, with a mark at every layer's output. What is asked of it later is
asked of the trace: which layers there are, and, cut in two at the layer that is explained, its activations and the
gradients of what follows. XLA compiles both parts as one step, which is kept: the part up to the layer runs as in any
prediction, and only what follows is differentiated, once for each target.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, final

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, Var
from numpy.typing import NDArray

from seewhy import timing
from seewhy.errors import LayerError
from seewhy.frameworks.base import FinalActivation, Head, Outputs
from seewhy.frameworks.compiled import CompiledCache, timed_first_call
from seewhy.frameworks.guided import GUIDED
from seewhy.frameworks.jax.graph import (
    INPUTS,
    Run,
    depends,
    mark,
    position_of,
    position_of_sum,
    run,
    split,
    tapped_at,
    trace,
)
from seewhy.frameworks.jax.guided import guided
from seewhy.frameworks.jax.logits import bypass_final_activation
from seewhy.frameworks.jax.precision import in_bfloat16
from seewhy.frameworks.keras.framework import CallRecorder, KerasFramework, plain, preserve_keras_state, recording_calls
from seewhy.frameworks.layers import INPUT, LayerCall, LayerChoice, check_tapped, no_gradient
from seewhy.frameworks.outputs import SelectedOutputs, select_outputs
from seewhy.frameworks.structures import (
    Inputs,
    image_count,
    is_our_own,
    leaves,
    map_tree,
    model_run_error,
)
from seewhy.targets import Objective, TopK
from seewhy.targets.target import Shape
from seewhy.timing import Phase
from seewhy.types import Backward, Capture, Precision, Tensor

FAILURES = (ValueError, TypeError, RuntimeError, LookupError, AttributeError, ArithmeticError)
"""What Keras and JAX raise when a model cannot run on its input."""


@final
class KerasJax(KerasFramework):
    """A Keras model on JAX."""

    name = "keras-jax"

    def __init__(self, model: keras.Model, precision: Precision = "float32") -> None:
        super().__init__(model, precision)
        self._compiled = CompiledCache()
        self._applied: set[Any] = set()

    def to_numpy(self, tensor: Tensor) -> NDArray[Any]:
        return np.asarray(tensor)

    def calls(self, inputs: Inputs) -> tuple[LayerCall, ...]:
        return self._traced(inputs).calls

    def predict(self, inputs: Inputs, output: int | str | None = None) -> Tensor | None:
        traced = self._traced(inputs)
        key = ("predict", _shapes(inputs), output)
        step = self._compiled.get(key, lambda: self._make_predict(traced, output))
        return self._run(step, traced, inputs)

    def capture(
        self, inputs: Inputs, layer: LayerChoice, objective: Objective, backward: Backward = "plain"
    ) -> Capture:
        traced, arrays = self._traced(inputs), objective.target.arrays(image_count(inputs))
        key = (_shapes(inputs), _shapes(list(arrays)), layer, objective.key, backward)
        step = self._compiled.get(key, lambda: self._make_capture(traced, layer, objective, backward))
        objective.target.check_outputs(step.shape)
        captured = self._run(step.function, traced, inputs, *arrays)
        return Capture(**{"gradients": None} | captured, layer=step.layer, xp=self.xp)

    def head(self, inputs: Inputs, layer: LayerChoice, objective: Objective) -> Head:
        traced, objective = self._traced(inputs), objective.for_image(0)
        key = ("head", _shapes(inputs), layer, objective.key)
        step = self._compiled.get(key, lambda: self._make_branch(traced, layer, objective))
        objective.target.check_outputs(step.shape)
        passing = self._run(step.trunk, traced, inputs)

        def scores(perturbations: NDArray[Any]) -> Tensor:
            perturbations = self._laid_out(step.call, perturbations)
            try:
                return step.head(perturbations, passing, objective.target.arrays(len(perturbations)))
            except jax.errors.JaxRuntimeError as error:
                raise model_run_error(inputs, error) from error

        return scores

    def apply(self, method: Callable[[Capture], Tensor], capture: Capture) -> Tensor:
        # JAX runs a method operation by operation, and compiles each of them when it is new.
        key = (getattr(method, "name", method), capture.activations.shape, capture.scores.shape)
        if key in self._applied:
            return method(capture)
        with timing.phase(Phase.COMPILING):
            heatmaps = method(capture)
        self._applied.add(key)
        return heatmaps

    def _run(self, function: Any, traced: "_Traced", inputs: Inputs, *arrays: Any) -> Any:
        try:
            return function(traced.flat(inputs), *arrays)
        except jax.errors.JaxRuntimeError as error:
            raise model_run_error(inputs, error) from error

    def _traced(self, inputs: Inputs) -> "_Traced":
        traced: _Traced = self._compiled.get(("trace", _shapes(inputs)), lambda: self._trace(inputs))
        return traced

    def _trace(self, inputs: Inputs) -> "_Traced":
        variables, recorder, returned = self._model.variables, _Marker(), _Returned()

        def forward(values: list[Tensor], batch: Inputs) -> list[Tensor]:
            # Values that are arguments are not written into the trace: what is trained later is seen.
            state = keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True)))
            with recording_calls(self._layers, recorder.record), preserve_keras_state(self._model), state:
                return returned.note(self._model(batch, training=False))

        try:
            jaxpr = trace(forward, [variable.value for variable in variables], inputs)
        except FAILURES as error:
            untraceable = _untraceable(error)
            if untraceable is None and is_our_own(error):
                raise
            raise model_run_error(inputs, untraceable or plain(error)) from error
        jaxpr = in_bfloat16(jaxpr) if self._precision == "bfloat16" else jaxpr
        return _Traced(jaxpr, variables, tuple(recorder.calls), recorder.shapes, returned.structure)

    def _make_predict(self, traced: "_Traced", output: int | str | None) -> Any:
        selected = traced.selected(Objective(TopK(), output=output))
        function = run(traced.jaxpr, selected.tensors)
        return timed_first_call(jax.jit(lambda flat: selected.read(function(*flat)).probabilities))

    def _make_capture(
        self, traced: "_Traced", layer: LayerChoice, objective: Objective, backward: Backward
    ) -> "_CompiledCapture":
        call = self._input_call if layer.is_input else check_tapped(layer, traced.calls)
        position, selected = traced.position(call), traced.selected(objective)
        if backward == "products":
            products = self._make_products(traced, layer, objective, call)
            if products is not None:
                return products
        trunk, follow = split(traced.jaxpr, position, selected.tensors)
        differentiated = follow
        if backward in GUIDED:
            rule = guided(traced.jaxpr, position, selected.one_logits, backward)
            differentiated = split(traced.jaxpr, position, selected.tensors, rule).head
        shape = _shape(selected)
        objective.target.check_outputs(shape)

        def step(flat: list[Tensor], *arrays: Tensor) -> dict[str, Tensor]:
            tapped, *passing = trunk(*flat)

            def totals(activations: Tensor, follow: Run = follow) -> tuple[Tensor, dict[str, Tensor]]:
                outputs = selected.read(follow(activations, *passing))
                answer = outputs.answer(objective, arrays, self.xp)
                scores = jnp.asarray(answer.scores, jnp.float32)
                facts = {"outputs": outputs.raw, "probabilities": outputs.probabilities}
                # The images of a batch do not meet, so the sum's gradient is each image's own.
                return jnp.sum(scores, axis=0), {"scores": scores, "indices": answer.indices, **facts}

            captured = {"activations": self._channels_last(call, tapped.astype(jnp.float32))}
            if backward in ("none", "products"):
                return captured | totals(tapped)[1]
            if not depends(lambda activations: totals(activations)[0], tapped):
                raise no_gradient(call.path)
            facts: dict[str, Tensor]
            values, pull_back, facts = jax.vjp(partial(totals, follow=differentiated), tapped, has_aux=True)
            (gradients,) = jax.vmap(pull_back)(jnp.eye(values.size, dtype=values.dtype))
            return captured | facts | {"gradients": self._targets_second(call, gradients.astype(jnp.float32))}

        return _CompiledCapture(timed_first_call(jax.jit(step)), layer.named(call), shape)

    def _make_products(
        self, traced: "_Traced", layer: LayerChoice, objective: Objective, call: LayerCall
    ) -> "_CompiledCapture | None":
        """Make the step that gives `Capture.products`; None where the scores depend on more than the layer's mean."""
        position, selected = traced.position(call), traced.selected(objective)
        jaxpr, tapped = traced.jaxpr.jaxpr, tapped_at(traced.jaxpr.jaxpr, position)
        rank = len(tapped.aval.shape)
        space = set(range(2, rank) if call.channels_first else range(1, rank - 1))
        position_of_total = position_of_sum(jaxpr, tapped, space, selected.tensors)
        if position_of_total is None:
            return None
        trunk, follow = split(traced.jaxpr, position_of_total, [*selected.tensors, tapped])
        shape = _shape(selected)
        objective.target.check_outputs(shape)

        def step(flat: list[Tensor], *arrays: Tensor) -> dict[str, Tensor]:
            total, *passing = trunk(*flat)

            def answered(total: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
                *tensors, output = follow(total, *passing)
                outputs = selected.read(tensors)
                answer = outputs.answer(objective, arrays, self.xp)
                scores = jnp.asarray(answer.scores, jnp.float32)
                activations = self._channels_last(call, output.astype(jnp.float32))
                facts = {"activations": activations, "outputs": outputs.raw, "probabilities": outputs.probabilities}
                return scores, facts | {"scores": scores, "indices": answer.indices}

            def derivative(direction: Tensor) -> Tensor:
                return jax.jvp(lambda total: answered(total)[0], (total,), (direction,))[1]

            if not depends(lambda total: answered(total)[0], total):
                raise no_gradient(call.path)
            _, facts = answered(total)
            images, *space, channels = facts["activations"].shape
            # Along the activations of one position after the other, as if they were all that is added up.
            positions = jnp.moveaxis(facts["activations"].reshape(images, -1, channels), 1, 0)
            found = jax.vmap(derivative)(positions.astype(total.dtype).reshape(-1, *total.shape))
            return facts | {"products": jnp.moveaxis(found, 0, -1).reshape(images, -1, *space)}

        return _CompiledCapture(timed_first_call(jax.jit(step)), layer.named(call), shape)

    def _make_branch(self, traced: "_Traced", layer: LayerChoice, objective: Objective) -> "_CompiledHead":
        call = self._input_call if layer.is_input else check_tapped(layer, traced.calls)
        selected = traced.selected(objective)
        trunk, follow = split(traced.jaxpr, traced.position(call), selected.tensors)
        tapped, *_ = jax.eval_shape(trunk, *traced.jaxpr.in_avals)
        shape = _shape(selected)
        objective.target.check_outputs(shape)

        def scores(perturbations: Tensor, passing: list[Tensor], arrays: Sequence[Tensor]) -> Tensor:
            def one(activations: Tensor) -> list[Tensor]:
                return follow(activations[None], *passing)

            # Every perturbation is an image of its own, (M, 1, ...), as what passes by is one image's.
            many = jax.vmap(one)(perturbations.astype(tapped.dtype))
            outputs = selected.read([each.reshape(-1, *each.shape[2:]) for each in many])
            return jnp.asarray(outputs.answer(objective, arrays, self.xp).scores, jnp.float32)

        trunk_alone = timed_first_call(jax.jit(lambda flat: trunk(*flat)[1:]))
        return _CompiledHead(trunk_alone, timed_first_call(jax.jit(scores)), call, shape)


class _CompiledCapture(NamedTuple):
    """A compiled step, and what was learned while it was made."""

    function: Any
    layer: str
    shape: Shape | None


class _CompiledHead(NamedTuple):
    """A compiled trunk, which gives what passes by the layer, and a compiled head; and what was learned meanwhile."""

    trunk: Any
    head: Any
    call: LayerCall
    shape: Shape | None


class _Traced(NamedTuple):
    """A model's forward pass for one shape of input.

    Attributes:
        jaxpr: What is computed, of the variables' values and the inputs.
        variables: The model's.
        calls: Every call of every layer.
        shapes: The shapes of the outputs that were marked, by mark.
        returned: The model's outputs, in their structure: the position among the jaxpr's, or the type of what is no
            tensor.
    """

    jaxpr: ClosedJaxpr
    variables: list[Any]
    calls: tuple[LayerCall, ...]
    shapes: dict[str, tuple[int, ...]]
    returned: Any

    def flat(self, inputs: Inputs) -> list[Tensor]:
        """Return the arguments of the trace, with the values the variables have now."""
        return [*(variable.value for variable in self.variables), *jax.tree.leaves(inputs)]

    def selected(self, objective: Objective) -> SelectedOutputs:
        """Return which of the trace's variables a question asks."""
        variables = self.jaxpr.jaxpr.outvars
        whole = map_tree(lambda each: variables[each] if isinstance(each, int) else each, self.returned)
        return select_outputs(
            whole,
            objective,
            is_tensor=lambda each: isinstance(each, (Var, Literal)),
            bypass_final_activation=lambda raw: bypass_final_activation(self.jaxpr.jaxpr, raw),
            read=_read,
        )

    def position(self, call: LayerCall) -> int:
        """Return the equation behind which the call's output can be had."""
        if call.path == INPUT:
            return INPUTS
        name = _name(call)
        position = position_of(self.jaxpr.jaxpr, name, self.shapes[name])
        if position is None:
            raise LayerError(
                f"The layer {call.path!r} runs inside a loop, a branch, a vmap or a custom derivative of the model's "
                "own, where its output cannot be reached. Give a layer outside of it."
            )
        return position


class _Marker(CallRecorder):
    """Marks every output that could be explained."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[str, tuple[int, ...]] = {}

    def record(self, path: str, layer: Any, output: Any, given: Any) -> Any:
        call = self.note(path, layer, output, given)
        if not call.has_space:
            return output
        marked = mark(output, _name(call))
        self.shapes[_name(call)] = tuple(marked.shape)
        self.remember(marked, call)  # a layer that hands it on is given the marked one
        return marked


class _Returned:
    """Notes the structure of what the model returned, and lays its tensors flat."""

    structure: Any = None

    def note(self, raw: Any) -> list[Tensor]:
        arrays: list[Tensor] = []

        def position(each: Any) -> int | type:
            if not keras.ops.is_tensor(each):
                return type(each)
            arrays.append(each)
            return len(arrays) - 1

        self.structure = map_tree(position, raw)
        return arrays


def _untraceable(error: BaseException | None) -> str | None:
    """Return what to say if the model's Python asks for values that a trace does not have; None for other errors.

    Keras rewrites the errors of a layer, and fails with an AttributeError at those that JAX builds from a tracer.
    """
    while error is not None:
        if isinstance(error, (jax.errors.JAXTypeError, jax.errors.JAXIndexError)):
            return f"its Python looks at the values of a tensor, which JAX cannot trace: {error}"
        error = error.__cause__ or error.__context__
    return None


def _name(call: LayerCall) -> str:
    return f"{call.path}#{call.number}"


def _shapes(inputs: Inputs) -> Any:
    """Return the inputs' shapes, which JAX compiles for, in a form that can be a key."""
    shapes = [tuple(each.shape) for each in leaves(inputs)]
    return (*inputs, *shapes) if isinstance(inputs, dict) else tuple(shapes)


def _read(raw: Tensor, logits: Tensor, head: FinalActivation, whole: Any) -> Outputs:
    """Read an output and what stands behind it."""
    return Outputs.read(raw, logits.reshape(raw.shape).astype(jnp.float32), head, keras.ops, whole)


def _shape(selected: SelectedOutputs) -> Shape | None:
    """Return the shape of the output that is asked."""
    found: list[Shape | None] = []
    jax.eval_shape(lambda *arrays: found.append(selected.read(arrays).shape), *(each.aval for each in selected.tensors))
    return found[0]
