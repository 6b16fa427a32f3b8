"""Recording the head of a PyTorch model, and replaying it for perturbations of a layer's output.

An eager PyTorch model has no graph to split. But every computation of a model is a sequence of ATen operations, which
can be recorded. A tape holds the operations that depend on the layer's output, in order; other tensors that they read,
such as weights and skip connections, are constants of the tape. It is replayed under `torch.vmap`, where every
operation processes one image, so that recorded shapes hold for any number of images.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

from seewhy.errors import LayerError
from seewhy.frameworks.base import Head
from seewhy.frameworks.layers import INPUT, LayerCall
from seewhy.frameworks.outputs import SelectedOutputs
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.private_api import (
    FUSED_ATTENTION,
    VIEWS,
    TorchDispatchMode,
    tree_leaves,
    tree_map,
    unfused_attention,
    version_of,
    written_arguments,
)
from seewhy.frameworks.torch.tap import TorchTap
from seewhy.frameworks.torch.tensors import target_arrays
from seewhy.targets import Objective
from seewhy.types import Namespace, NativeTensor

VALUE_READERS = ("numpy", "tolist", "__array__", "__dlpack__")
"""Methods that read a tensor's values without an ATen operation; other methods call operations."""

CHANNELS_LAST = (torch.channels_last, torch.channels_last_3d)
"""Memory formats with the channels last."""

BATCH_NORMS = (torch.ops.aten.native_batch_norm.default, torch.ops.aten.cudnn_batch_norm.default)
"""Operations whose input may be in half precision while their averages are not."""

READS_VALUES = "reads a tensor's values in Python, as .item(), .numpy() or an `if` on a tensor do"

WRITES_TO_CONSTANT = "writes values that depend on the layer into a tensor that does not depend on it"

MODIFIES_CONSTANT = "modifies in place a tensor that does not depend on the layer, after an operation has read it"

UNKNOWN_VIEW = "reads the layer's output through a view that PyTorch did not create in a recorded operation"


@dataclass(frozen=True)
class Placeholder:
    """A placeholder for a tensor that depends on the layer; number 0 is the layer's output."""

    number: int


class TapeOperation(NamedTuple):
    """One recorded ATen operation with placeholders for tensors; None for a result that is not a tensor."""

    operation: Any
    args: Any
    kwargs: Any
    results: list[Placeholder | None]


@final
class Tape:
    """Records the operations that depend on the tensor that it is started with."""

    def __init__(self) -> None:
        self._operations: list[TapeOperation] = []
        # The tape holds every tensor, so that none of their memory is reused for another tensor.
        self._placeholders: dict[Any, tuple[Placeholder, NativeTensor]] = {}
        self._storages: set[int] = set()
        self._constants: dict[int, tuple[NativeTensor, int | None]] = {}
        self._obstacles: list[str] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the operations of this thread while this is open."""
        with _OperationMode(self), _ValueReadMode(self):
            yield

    def start(self, output: NativeTensor) -> NativeTensor:
        """Record from here on the operations that depend on this output; the model must continue with the copy."""
        output = output.clone()
        self._placeholder_of(output)
        return output

    def record(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """Run an operation, and record it if it depends on the tensor that the tape was started with."""
        arguments = tree_map(self._replace_tensor, (args, kwargs)) if self._placeholders else None
        results = operation(*args, **kwargs)
        if any(isinstance(leaf, Placeholder) for leaf in tree_leaves(arguments)):
            self._append(operation, arguments, results)
        return results

    def record_read(self, tensor: NativeTensor) -> None:
        """Record that Python code reads a tensor's values."""
        if _storage_key(tensor) in self._placeholders:
            self._obstacles.append(READS_VALUES)

    def head(self, tap: "TapeTap", selected: SelectedOutputs, objective: Objective, xp: Namespace) -> Head:
        """Return the recorded head: from perturbations (M, ...) in the layer's own layout to scores (M, T).

        Args:
            tap: Started the tape.
            selected: The outputs that the objective reads.
            objective: What the scores are.
            xp: The namespace for the target.

        Raises:
            LayerError: The tape cannot be replayed for other activations.
            TargetError: The model's outputs do not allow the target.
        """
        tap.check()
        if any(version_of(tensor) != version for tensor, version in self._constants.values()):
            self._obstacles.append(MODIFIES_CONSTANT)
        results = [self._replace_tensor(tensor) for tensor in selected.tensors]
        if self._obstacles:
            raise _not_replayable(tap.path, self._obstacles[0])
        with torch.no_grad(), without_autocast():
            objective.target.check_outputs(selected.read(selected.tensors).shape)
        operations = self._operations if any(map(_writes, self._operations)) else _without_views(self._operations)
        head = _TapeReplay(tap.path, tap.output, _with_last_uses(operations, results), results)

        def score(perturbations: NDArray[Any]) -> NativeTensor:
            with torch.inference_mode(False), torch.no_grad(), without_autocast():
                # One perturbation is a batch; of a model with a fixed batch size, as many as it takes.
                images = tap.output.shape[1 if tap.call.images_second else 0]
                groups = torch.tensor(perturbations.reshape(-1, images, *perturbations.shape[1:]))
                groups = groups.swapaxes(1, 2) if tap.call.images_second else groups
                outputs = [_without_batches(output) for output in head(groups)]
                arrays = target_arrays(objective, len(perturbations) // tap.call.frames, outputs[0])
                scores: NativeTensor = selected.read(outputs).score(objective, arrays, xp).scores
                return scores.float()

        return score

    def _append(self, operation: Any, arguments: Any, results: Any) -> None:
        args, kwargs = arguments
        if torch.Tag.data_dependent_output in operation.tags:
            self._obstacles.append(READS_VALUES)
        if any(isinstance(argument, torch.Tensor) for argument in written_arguments(operation, args, kwargs)):
            self._obstacles.append(WRITES_TO_CONSTANT)
        for leaf in tree_leaves(arguments):
            if isinstance(leaf, torch.Tensor):
                self._constants.setdefault(id(leaf), (leaf, version_of(leaf)))
        placeholders = [self._placeholder_of(result) for result in tree_leaves(results)]
        self._operations.append(TapeOperation(operation, args, kwargs, placeholders))

    def _replace_tensor(self, value: Any) -> Any:
        """Return the placeholder of a tensor that depends on the layer; any other value as it is."""
        if not isinstance(value, torch.Tensor) or not value.numel():
            return value
        entry = self._placeholders.get(_storage_key(value))
        if entry is None and _storage(value) in self._storages:
            self._obstacles.append(UNKNOWN_VIEW)
        return value if entry is None else entry[0]

    def _placeholder_of(self, result: Any) -> Placeholder | None:
        """Return the placeholder of a result. PyTorch may return another tensor object for the same memory."""
        if not isinstance(result, torch.Tensor) or not result.numel():
            return None
        self._storages.add(_storage(result))
        placeholder, _ = self._placeholders.setdefault(
            _storage_key(result), (Placeholder(len(self._placeholders)), result)
        )
        return placeholder


@final
class TapeTap(TorchTap):
    """Starts a tape at the output of one call of one layer, or at the model's input."""

    def __init__(self, call: LayerCall, tape: Tape) -> None:
        super().__init__(call)
        self._tape = tape

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        output = super().record(path, layer, output)
        return output if self._calls_left else self._tape.start(output)


@final
class _OperationMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation on a tape."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tape = tape

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return self._tape.record(func, args, kwargs or {})


@final
class _ValueReadMode(TorchFunctionMode):
    """Records on a tape that Python code reads a tensor's values."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in VALUE_READERS:
            self._tape.record_read(args[0])
        return func(*args, **(kwargs or {}))


@final
@dataclass(frozen=True)
class _TapeReplay:
    """A tape as a function of the tapped output."""

    path: str
    tapped: NativeTensor
    operations: list[tuple[TapeOperation, set[Placeholder]]]
    results: list[Any]

    def __call__(self, perturbations: NativeTensor) -> list[NativeTensor]:
        """Replay the tape for perturbations (M, ...) of the tapped output in one batch."""
        # In the memory layout of the tapped output, on which recorded views depend.
        strides = (self.tapped.numel(), *self.tapped.stride())
        tensors = torch.empty_strided(
            perturbations.shape, strides, dtype=self.tapped.dtype, device=self.tapped.device
        ).copy_(perturbations)
        try:
            return list(torch.vmap(self._replay, randomness="same")(tensors))
        except RuntimeError as error:
            raise _not_replayable(
                self.path, f"has an operation that PyTorch cannot run for a batch of perturbations: {error}"
            ) from error

    def _replay(self, perturbation: NativeTensor) -> tuple[NativeTensor, ...]:
        values: dict[Any, NativeTensor] = {Placeholder(0): perturbation}

        def read(value: Any) -> Any:
            return values[value] if isinstance(value, Placeholder) else value

        for recorded, last_used in self.operations:
            args, kwargs = tree_map(read, (recorded.args, recorded.kwargs))
            results = tree_leaves(_run_operation(recorded.operation, args, kwargs))
            named_results = zip(recorded.results, results, strict=True)
            values.update((placeholder, result) for placeholder, result in named_results if placeholder is not None)
            for placeholder in last_used:
                del values[placeholder]
        return tuple(read(result) for result in self.results)


def _run_operation(operation: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation, in an equivalent form where `torch.vmap` does not support it."""
    if kwargs.get("memory_format") in CHANNELS_LAST:  # copied with the channels moved to the end
        kwargs = kwargs | {"memory_format": torch.contiguous_format}
        return operation(args[0].movedim(1, -1), *args[1:], **kwargs).movedim(-1, 1)
    if operation == FUSED_ATTENTION:  # which `torch.vmap` would run image by image, with a warning
        return unfused_attention(*args, **kwargs)
    if operation in BATCH_NORMS:
        maps, _, _, means, *_ = args
        if means is not None and means.dtype != maps.dtype:  # under autocast
            normalised, *statistics = operation(maps.to(means.dtype), *args[1:], **kwargs)
            return normalised.to(maps.dtype), *statistics
    return operation(*args, **kwargs)


def _writes(recorded: TapeOperation) -> bool:
    """Whether an operation works in place on a tensor that depends on the layer."""
    written = written_arguments(recorded.operation, recorded.args, recorded.kwargs)
    return any(isinstance(argument, Placeholder) for argument in written)


def _without_views(operations: list[TapeOperation]) -> list[TapeOperation]:
    """Return operations that copy where a view would not fit: strides under `torch.vmap` are others than recorded.

    That is the same where nothing is written in place.
    """
    return [
        recorded._replace(operation=torch.ops.aten.reshape.default) if recorded.operation in VIEWS else recorded
        for recorded in operations
    ]


def _without_batches(outputs: NativeTensor) -> NativeTensor:
    """Return the outputs of batches of one perturbation, (M, 1, ...), as (M, ...); (M,) if the model gave scalars."""
    return outputs.flatten(0, 1) if outputs.ndim > 1 else outputs


def _with_last_uses(
    operations: list[TapeOperation], results: list[Any]
) -> list[tuple[TapeOperation, set[Placeholder]]]:
    """Pair each operation with the placeholders last used by it, to free their tensors as an eager run does."""
    needed, pairs = {result for result in results if isinstance(result, Placeholder)}, []
    for recorded in reversed(operations):
        leaves = tree_leaves((recorded.args, recorded.kwargs, recorded.results))
        used = {leaf for leaf in leaves if isinstance(leaf, Placeholder)}
        pairs.append((recorded, used - needed))
        needed |= used
    return pairs[::-1]


def _storage_key(tensor: NativeTensor) -> Any:
    """Return a key that two tensors share if they are the same values in the same memory."""
    if tensor.layout != torch.strided:
        return id(tensor)
    place = (_storage(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    return (*place, tensor.dtype, tensor.device, tensor.is_conj(), tensor.is_neg())


def _storage(tensor: NativeTensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


def _not_replayable(path: str, reason: str) -> LayerError:
    start = "its input" if path == INPUT else f"the layer {path!r}"
    return LayerError(
        f"The model cannot be run from {start} on for perturbations of it: its head {reason}. Give a layer after that, "
        "or use a method that perturbs the model's input instead, such as occlusion or rise."
    )
