"""What a PyTorch model does after a layer, written down as it runs, and done again for perturbations of the layer.

PyTorch has no graph to cut. But everything that a model computes comes down to operations of one library, ATen, and
those can be heard. A tape holds the operations that depend on the layer's output, in their order. Whatever else they
read, such as weights and skip connections, stands on the tape as it was. Played again under `torch.vmap`, every
operation sees one image's tensors, so that shapes that were written down with it stay true for any number of images.
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
from seewhy.frameworks.torch.dispatch import (
    TorchDispatchMode,
    tree_leaves,
    tree_map,
    version_of,
    written_arguments,
)
from seewhy.frameworks.torch.precision import without_autocast
from seewhy.frameworks.torch.tap import Tap
from seewhy.frameworks.torch.tensors import target_arrays
from seewhy.targets import Objective
from seewhy.types import Namespace, Tensor

READERS = ("numpy", "tolist", "__array__", "__dlpack__")
"""Methods of a tensor that take its values out of PyTorch unheard; the others come down to operations."""

CHANNELS_LAST = (torch.channels_last, torch.channels_last_3d)
"""Orders in memory with the channels last."""

BATCH_NORMS = (torch.ops.aten.native_batch_norm.default, torch.ops.aten.cudnn_batch_norm.default)
"""Operations that may be given maps in half precision, and averages that are not."""

LOOKS = "takes values out of PyTorch, as .item(), .numpy() or an `if` on a tensor do"

WRITES = "writes what comes from the layer into a tensor that does not"

REWRITES = "works in place on a tensor that does not come from the layer and was used together with what does"

UNKNOWN = "looks at the layer's output through a tensor that PyTorch did not say it made"


@dataclass(frozen=True)
class Slot:
    """Where a tensor stood that depends on the layer; the layer's output has number 0."""

    number: int


class Step(NamedTuple):
    """One operation, with slots where tensors stood; a result that is no tensor has None."""

    operation: Any
    args: Any
    kwargs: Any
    results: list[Slot | None]


@final
class Tape:
    """Writes down the operations that depend on the tensor that it was started with."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        # Every tensor is kept for as long as the tape, lest its place in memory be given to another one.
        self._slots: dict[Any, tuple[Slot, Tensor]] = {}
        self._storages: set[int] = set()
        self._constants: dict[int, tuple[Tensor, int | None]] = {}
        self._trouble: list[str] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hear all that PyTorch does in this thread, for as long as this is open."""
        with _Operations(self), _Readers(self):
            yield

    def start(self, output: Tensor) -> Tensor:
        """Write down from here on what depends on this output; the model has to go on with the copy returned."""
        output = output.clone()
        self._slot_for(output)
        return output

    def record(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """Perform an operation, and write it down if it depends on what the tape was started with."""
        noted = tree_map(self._note, (args, kwargs)) if self._slots else None
        results = operation(*args, **kwargs)
        if any(isinstance(each, Slot) for each in tree_leaves(noted)):
            self._write_down(operation, noted, results)
        return results

    def record_read(self, tensor: Tensor) -> None:
        """Note that a tensor's values are taken out of PyTorch."""
        if _storage_key(tensor) in self._slots:
            self._trouble.append(LOOKS)

    def head(self, tap: "TapeTap", selected: SelectedOutputs, objective: Objective, xp: Namespace) -> Head:
        """Return what was written down as a function of perturbations (M, ...), in the layer's own layout, to scores.

        Args:
            tap: What started the tape.
            asked: What the model gave that is asked.
            question: What each perturbation is asked.
            xp: The namespace for the target.

        Raises:
            LayerError: What was written down is not all that happened.
            TargetError: The model's outputs do not allow the target.
        """
        tap.check()
        if any(version_of(tensor) != version for tensor, version in self._constants.values()):
            self._trouble.append(REWRITES)
        results = [self._note(each) for each in selected.tensors]
        if self._trouble:
            raise _no_head(tap.path, self._trouble[0])
        with torch.no_grad(), without_autocast():
            objective.target.check_outputs(selected.read(selected.tensors).shape)
        head = _Head(tap.path, tap.output, _with_last_uses(self._steps, results), results)

        def scores(perturbations: NDArray[Any]) -> Tensor:
            with torch.inference_mode(False), torch.no_grad(), without_autocast():
                many = [each.flatten(0, 1) for each in head(torch.tensor(perturbations[:, None]))]
                arrays = target_arrays(objective, len(perturbations), many[0])
                return selected.read(many).score(objective, arrays, xp).scores.float()

        return scores

    def _write_down(self, operation: Any, noted: Any, results: Any) -> None:
        args, kwargs = noted
        if torch.Tag.data_dependent_output in operation.tags:
            self._trouble.append(LOOKS)
        if any(isinstance(each, torch.Tensor) for each in written_arguments(operation, args, kwargs)):
            self._trouble.append(WRITES)
        for each in tree_leaves(noted):
            if isinstance(each, torch.Tensor):
                self._constants.setdefault(id(each), (each, version_of(each)))
        slots = [self._slot_for(each) for each in tree_leaves(results)]
        self._steps.append(Step(operation, args, kwargs, slots))

    def _note(self, value: Any) -> Any:
        """Return the slot of a tensor that depends on the layer; anything else as it is."""
        if not isinstance(value, torch.Tensor) or not value.numel():
            return value
        known = self._slots.get(_storage_key(value))
        if known is None and _storage(value) in self._storages:
            self._trouble.append(UNKNOWN)
        return value if known is None else known[0]

    def _slot_for(self, result: Any) -> Slot | None:
        """Return the slot of a result. PyTorch may hand the result on as another tensor, but in the same place."""
        if not isinstance(result, torch.Tensor) or not result.numel():
            return None
        self._storages.add(_storage(result))
        slot, _ = self._slots.setdefault(_storage_key(result), (Slot(len(self._slots)), result))
        return slot


@final
class TapeTap(Tap):
    """Starts a tape at the output of one call of one layer; or at the model's input."""

    def __init__(self, call: LayerCall, tape: Tape) -> None:
        super().__init__(call)
        self._tape = tape

    def record(self, path: str, layer: Any, output: Any, arguments: Any = None) -> Any:
        output = super().record(path, layer, output)
        return output if self._calls_left else self._tape.start(output)


@final
class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tells a tape of every operation."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tape = tape

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        return self._tape.record(func, args, kwargs or {})


@final
class _Readers(TorchFunctionMode):
    """Tells a tape of every tensor whose values are taken out of PyTorch."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __torch_function__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in READERS:
            self._tape.record_read(args[0])
        return func(*args, **(kwargs or {}))


@final
@dataclass(frozen=True)
class _Head:
    """A tape as a function."""

    path: str
    tapped: Tensor
    steps: list[tuple[Step, set[Slot]]]
    results: list[Any]

    def __call__(self, perturbations: Tensor) -> list[Tensor]:
        """Play the tape for perturbations (M, ...) of the tapped output, all at once."""
        # In the tapped output's own order in memory, on which views that were written down rely.
        strides = (self.tapped.numel(), *self.tapped.stride())
        laid_out = torch.empty_strided(
            perturbations.shape, strides, dtype=self.tapped.dtype, device=self.tapped.device
        ).copy_(perturbations)
        try:
            return list(torch.vmap(self._play, randomness="same")(laid_out))
        except RuntimeError as error:
            raise _no_head(self.path, f"does what PyTorch cannot do for many at once: {error}") from error

    def _play(self, perturbation: Tensor) -> tuple[Tensor, ...]:
        values: dict[Any, Tensor] = {Slot(0): perturbation}

        def read(each: Any) -> Any:
            return values[each] if isinstance(each, Slot) else each

        for step, last_used in self.steps:
            args, kwargs = tree_map(read, (step.args, step.kwargs))
            results = tree_leaves(_perform(step.operation, args, kwargs))
            values.update((slot, each) for slot, each in zip(step.results, results, strict=True) if slot is not None)
            for slot in last_used:
                del values[slot]
        return tuple(read(each) for each in self.results)


def _perform(operation: Any, args: Any, kwargs: Any) -> Any:
    """Perform an operation, put in other words where vmap does not know it as it stands."""
    if kwargs.get("memory_format") in CHANNELS_LAST:  # copied as a tensor whose channels are last for a while
        kwargs = kwargs | {"memory_format": torch.contiguous_format}
        return operation(args[0].movedim(1, -1), *args[1:], **kwargs).movedim(-1, 1)
    if operation in BATCH_NORMS:
        maps, _, _, means, *_ = args
        if means is not None and means.dtype != maps.dtype:  # under autocast
            normed, *rest = operation(maps.to(means.dtype), *args[1:], **kwargs)
            return normed.to(maps.dtype), *rest
    return operation(*args, **kwargs)


def _with_last_uses(steps: list[Step], results: list[Any]) -> list[tuple[Step, set[Slot]]]:
    """Add to each step the slots that nothing needs after it, for memory to hold no more than in any other run."""
    needed, found = {each for each in results if isinstance(each, Slot)}, []
    for step in reversed(steps):
        used = {each for each in tree_leaves((step.args, step.kwargs, step.results)) if isinstance(each, Slot)}
        found.append((step, used - needed))
        needed |= used
    return found[::-1]


def _storage_key(tensor: Tensor) -> Any:
    """Return what two tensors have in common that are the same values in the same memory."""
    if tensor.layout != torch.strided:
        return id(tensor)
    where = (_storage(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    return (*where, tensor.dtype, tensor.device, tensor.is_conj(), tensor.is_neg())


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else id(tensor)


def _no_head(path: str, reason: str) -> LayerError:
    place = "its input" if path == INPUT else f"the layer {path!r}"
    return LayerError(
        f"The model cannot be run from {place} on for perturbations of it: what follows {reason}. Give a layer after "
        "that, or use a method that changes the model's input instead, such as occlusion or rise."
    )
