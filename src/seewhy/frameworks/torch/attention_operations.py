"""Attention that PyTorch computes in one function, computed in steps in which its maps can be observed."""

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch.nn import functional

from seewhy.frameworks.torch.precision import without_autocast
from seewhy.types import NativeTensor

MULTI_HEAD = functional.multi_head_attention_forward
"""The function of `torch.nn.MultiheadAttention`; its products and its softmax are torch functions too."""


def open_multi_head_attention(*args: Any, **kwargs: Any) -> Any:
    """Compute `torch.nn.functional.multi_head_attention_forward` so that modes observe the functions that it calls.

    As every function of PyTorch that modes observe, it would be handed to the innermost mode as a whole. This is the
    same function, but for that.
    """
    names = vars(functional) | {"has_torch_function": lambda _: False}
    function = FunctionType(MULTI_HEAD.__code__, names, argdefs=MULTI_HEAD.__defaults__)
    function.__kwdefaults__ = MULTI_HEAD.__kwdefaults__
    return function(*args, **kwargs)


def attention_in_steps(
    tap: Callable[[NativeTensor], NativeTensor],
    query: NativeTensor,
    key: NativeTensor,
    value: NativeTensor,
    attn_mask: NativeTensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> NativeTensor:
    """Compute `torch.nn.functional.scaled_dot_product_attention` as the documentation of PyTorch defines it.

    Args:
        tap: Receives the attention map, and returns what values are multiplied with.
        query: (..., Lq, E). This and all other arguments are those of the function.
        key: (..., Lk, E).
        value: (..., Lk, V).
        attn_mask: True, or added, where a query attends to a key.
        dropout_p: The share of the map that is dropped.
        is_causal: Queries attend to no later keys.
        scale: The factor of the products; None for 1 / sqrt(E).
        enable_gqa: Several attention heads of queries share one of keys and values.

    Returns:
        (..., Lq, V), equal to the function's result up to rounding.
    """
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    with without_autocast():  # as fused attention, with the products in float32 of half precision too
        wide = torch.promote_types(torch.promote_types(query.dtype, key.dtype), torch.float32)
        scores = torch.matmul(query.to(wide) * factor, key.to(wide).transpose(-2, -1))
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        attn_mask = allowed if attn_mask is None else attn_mask
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_bool else scores + attn_mask
    if attn_mask is None:
        weights = tap(torch.softmax(scores, -1))
    else:  # a query that may attend to no key has the result 0 and the gradient 0; its softmax would have NaN for both
        is_empty = (scores == -math.inf).all(-1, keepdim=True)
        weights = tap(torch.softmax(scores.masked_fill(is_empty, 0.0), -1).masked_fill(is_empty, 0.0))
    if dropout_p > 0:
        weights = torch.dropout(weights, dropout_p, train=True)
    return torch.matmul(weights.to(value.dtype), value)
