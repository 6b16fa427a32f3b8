"""The transformer of `attention_reference` in native PyTorch; `transformer_in_keras` builds the same."""

import torch
from tests.contracts import attention_reference as reference
from torch import nn
from torch.nn import functional

HEAD_SIZE = reference.WIDTH // reference.HEADS


def split(x):
    return x.reshape(*x.shape[:2], reference.HEADS, HEAD_SIZE).transpose(1, 2)


class Products(nn.Module):
    """Multi-head attention of four products, computed in steps or fused."""

    def __init__(self, block, kind):
        super().__init__()
        for name, kernel in block.items():
            layer = nn.Linear(reference.WIDTH, reference.WIDTH, bias=False)
            layer.weight.data = torch.tensor(kernel.T.copy())
            self.add_module(name, layer)
        self.kind = kind

    def forward(self, x):
        query, key, value = (split(layer(x)) for layer in (self.query, self.key, self.value))
        if self.kind == "fused":
            attended = functional.scaled_dot_product_attention(query, key, value)
        else:
            scores = query @ key.transpose(-2, -1)
            weights = functional.dropout((scores / HEAD_SIZE**0.5).softmax(dim=-1), 0.1, self.training)
            attended = weights @ value
        return self.out(attended.transpose(1, 2).flatten(2))


class Layer(nn.MultiheadAttention):
    """PyTorch's layer with the weights of a block."""

    def __init__(self, block, kind):
        super().__init__(reference.WIDTH, reference.HEADS, bias=False, batch_first=True)
        stacked = torch.cat([torch.tensor(block[name].T.copy()) for name in ("query", "key", "value")])
        self.in_proj_weight.data, self.out_proj.weight.data = stacked, torch.tensor(block["out"].T.copy())

    def forward(self, x):
        return super().forward(x, x, x)[0]


class Transformer(nn.Module):
    def __init__(self, kind, tokens, *, is_branched=False):
        super().__init__()
        self.is_branched = is_branched
        given = reference.weights()
        self.patches = nn.Conv2d(3, reference.WIDTH, reference.PATCH, reference.PATCH, bias=False)
        kernel = given.patches.reshape(reference.PATCH, reference.PATCH, 3, reference.WIDTH)
        self.patches.weight.data = torch.tensor(kernel).permute(3, 2, 0, 1).contiguous()
        self.token = nn.Parameter(torch.tensor(given.token)) if tokens == "first" else None
        attention = Layer if kind == "layer" else Products
        self.blocks = nn.ModuleList(attention(block, kind) for block in given.blocks)
        self.norms = nn.ModuleList(
            nn.LayerNorm(reference.WIDTH, reference.EPSILON, elementwise_affine=False) for _ in given.blocks
        )
        self.head = nn.Linear(reference.WIDTH, reference.CLASSES, bias=False)
        self.head.weight.data = torch.tensor(given.head.T.copy())

    def forward(self, image):
        x = self.patches(image).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], 1, -1), x], dim=1)
        embedded = x
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + block(norm(embedded if self.is_branched else x))
        return self.head(x.mean(dim=1) if self.token is None else x[:, 0])


def transformer(kind="layer", tokens="first", *, is_branched=False):
    """Build it with attention as a "layer", "explicit" or "fused"; its head reads the "first" token or the "mean".

    In branches, all blocks read the embedded patches, and their results are added.
    """
    return Transformer(kind, tokens, is_branched=is_branched).eval()
