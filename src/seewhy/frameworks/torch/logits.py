"""The logits before a PyTorch model's final activation, found by recording the torch functions that it calls."""

import math
from collections.abc import Callable, Iterable
from typing import Any, final

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from seewhy.frameworks.outputs import Outputs, SelectedOutputs, select_outputs
from seewhy.frameworks.structures import ArrayTree
from seewhy.frameworks.torch.linear_layer import LinearLayer
from seewhy.frameworks.torch.private_api import DIFFERENTIATING, exclude_autograd, is_autograd_excluded, version_of
from seewhy.frameworks.torch.two_towers import ImageEmbedding
from seewhy.targets import Objective
from seewhy.types import FinalActivation, Namespace, NativeTensor

FINAL_ACTIVATIONS: dict[str, FinalActivation] = {
    "softmax": "softmax",
    "log_softmax": "softmax",
    "special_softmax": "softmax",
    "special_log_softmax": "softmax",
    "sigmoid": "sigmoid",
    "sigmoid_": "sigmoid",
    "special_expit": "sigmoid",
}
"""Final activations by the name of their function; the function, the method and the module all call that one."""

ORDER_PRESERVING = {
    *("reshape", "reshape_as", "view", "view_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze"),
    *("to", "type", "float", "double", "half", "bfloat16", "cpu", "cuda", "contiguous", "clone", "detach"),
}
"""Functions that keep the order of the values. In inference mode, dropout returns the same tensor."""

PRODUCTS = {"linear", "addmm", "mm", "matmul", "__matmul__"}

BIASES = {"add", "__add__"}
"""Functions that add a bias to a matrix product; a linear layer of PyTorch is one function."""

RECORDED = {*FINAL_ACTIVATIONS, *ORDER_PRESERVING, *DIFFERENTIATING, *PRODUCTS, *BIASES}


@final
class FunctionRecorder(TorchFunctionMode):
    """Records the final activation among the torch functions that this thread's model calls while this is open.

    Attributes:
        needs_gradients: Set to True to record the gradients of every function, whatever the model did before.
        is_differentiating: The model differentiated something.
    """

    def __init__(self) -> None:
        super().__init__()
        self.needs_gradients = False
        self.is_differentiating = False
        # Weak references: a model with a softmax in every block must not keep all of their inputs.
        self._logits: Any = WeakTensorKeyDictionary()
        # With their versions: a function may overwrite a product, as `probabilities.exp_()` does.
        self._products: Any = WeakTensorKeyDictionary()
        self._linear: LinearLayer | None = None  # the last one; its input is part of the graph of its result

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        # Compiled code that contains the tap restores the dispatcher's state from before the tap.
        if self.needs_gradients and is_autograd_excluded():
            exclude_autograd(False)
        return self._record(name, func, args, kwargs) if name in RECORDED else func(*args, **kwargs)

    def bypass_final_activation(self, raw: NativeTensor) -> tuple[FinalActivation, NativeTensor]:
        """Return the model's final activation, and the logits before its outputs in the outputs' shape."""
        if self._is_product(raw):
            return "logits", raw
        activation, logits, classes = self._logits.get(raw, ("linear", raw, None))
        # A softmax over another axis than that of the classes has no logits for the classes.
        if activation == "softmax" and raw.ndim == 2 and classes != raw.shape[1]:
            return "linear", raw
        return activation, logits if logits.shape == raw.shape else logits.reshape(raw.shape)

    def linear_layer(self, logits: NativeTensor) -> "LinearLayer | None":
        """Return the linear layer whose result these logits are; None if they are not, or something was changed."""
        linear = self._linear
        return linear if linear is not None and linear.result is logits and linear.is_unchanged() else None

    def _record(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name in DIFFERENTIATING:
            self.is_differentiating = True
            return func(*args, **kwargs)
        tensor: Any = args[0] if args else kwargs.get("input")
        if name.endswith("_"):
            tensor = tensor.clone()  # the function overwrites its input
        result = func(*args, **kwargs)
        if name in PRODUCTS or name in BIASES:
            self._record_product(name, result, args)
        elif name in FINAL_ACTIVATIONS:
            classes = _softmax_size(tensor, args, kwargs) if "softmax" in name else None
            self._logits[result] = (FINAL_ACTIVATIONS[name], tensor, classes)
        elif self._logits and isinstance(tensor, torch.Tensor) and tensor is not result and tensor in self._logits:
            self._logits[result] = self._logits[tensor]
        elif isinstance(result, torch.Tensor) and self._is_product(tensor):
            self._products[result] = version_of(result)
        return result

    def _record_product(self, name: str, result: Any, args: tuple[Any, ...]) -> None:
        """Record a matrix product (N, C) of other values than those of a softmax, or one with a bias."""
        if not isinstance(result, torch.Tensor) or result.ndim != 2:
            return
        tensors = [value for value in args if isinstance(value, torch.Tensor)]
        if name in PRODUCTS:
            is_product = not (self._logits and any(value in self._logits for value in tensors))
        else:
            products = [value for value in tensors if self._is_product(value)]
            is_product = len(products) == 1 and all(value.ndim < 2 for value in tensors if value is not products[0])
        if is_product:
            self._products[result] = version_of(result)
        if name == "linear" and len(args) in (2, 3):
            self._linear = LinearLayer.of(result, *args)

    def _is_product(self, tensor: Any) -> bool:
        """Whether a tensor was recorded as a matrix product, and was not written to since."""
        version = self._products.get(tensor) if self._products and isinstance(tensor, torch.Tensor) else None
        return version is not None and bool(version == version_of(tensor))


def may_be_probabilities(outputs: NativeTensor) -> bool:
    """Whether all values may be those of a softmax or a sigmoid, or all may be their logarithms."""
    if outputs.numel() == 0:
        return False
    least, most = map(float, torch.aminmax(outputs.detach()))
    return most <= 0 or (least >= 0 and most <= 1)


def _softmax_size(tensor: NativeTensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Return the size of the axis of a softmax; None where its values are not adjacent in the order of values."""
    axis = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
    if axis is None:
        axis = 0 if tensor.ndim in (0, 1, 3) else 1  # PyTorch's implicit axis
    sizes = tensor.shape[axis:]
    return sizes[0] if sizes and math.prod(sizes[1:]) == 1 else None


def select_torch_outputs(
    tree: ArrayTree, objective: Objective, functions: FunctionRecorder, xp: Namespace
) -> SelectedOutputs:
    """Select the outputs that an objective reads, and bypass a final softmax or sigmoid.

    Args:
        tree: All outputs of the model.
        objective: Reads the outputs.
        functions: Recorded the functions of the model.
        xp: The namespace for reading the outputs.
    """

    def softmax(logits: NativeTensor) -> NativeTensor:
        return torch.softmax(logits if objective.score == "probability" else logits.detach(), dim=-1)

    def read(raw: NativeTensor, logits: NativeTensor, activation: FinalActivation, tree: ArrayTree) -> Outputs:
        return Outputs.read(raw, logits.float(), activation, xp, tree, softmax)

    def bypass(raw: NativeTensor) -> tuple[FinalActivation, NativeTensor]:
        return ("embedding", raw) if isinstance(tree, ImageEmbedding) else functions.bypass_final_activation(raw)

    return select_outputs(tree, objective, lambda value: isinstance(value, torch.Tensor), bypass, read)
