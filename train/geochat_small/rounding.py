"""Rounding to integers: each weight alone, or with the errors of a row compensated.

Compensation is GPTQ (Frantar et al. 2023, arXiv 2210.17323, Algorithm 1): the columns of a matrix are rounded one after
the other, and the error of each is offset by the columns still to come, so that the layer's output on calibration
inputs changes least.
"""

import contextlib
from collections.abc import Iterable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

_CLIPPED = torch.linspace(0.7, 1.0, 7)  # shares of a group's largest weight that are tried as the end of its range
_DAMPING = 0.01  # of the mean of the matrix's diagonal, added to the diagonal


def quantized(weight: Tensor, bits: int, group: int) -> tuple[Tensor, Tensor]:
    """Return integers (O, I) from -2^(bits-1), and scales (O, I / group) in bfloat16, with the least squared error.

    Args:
        weight: (O, I); I is a multiple of `group`.
        bits: Bits of an integer.
        group: Weights of a row that share a scale.
    """
    grouped = weight.float().unflatten(1, (-1, group))  # (O, G, group)
    most = 2 ** (bits - 1) - 1
    ends = grouped.abs().amax(-1, keepdim=True).clamp(min=1e-8)
    best = torch.full_like(ends, torch.inf)
    integers = torch.zeros_like(grouped)
    scales = torch.zeros_like(ends)
    for share in _CLIPPED:
        scale = (share * ends / most).to(torch.bfloat16).float()
        rounded = (grouped / scale).round().clamp(-most - 1, most)
        error = (rounded * scale - grouped).square().sum(-1, keepdim=True)
        better = error < best
        best = torch.where(better, error, best)
        integers = torch.where(better, rounded, integers)
        scales = torch.where(better, scale, scales)
    return integers.flatten(1).to(torch.int8), scales.squeeze(-1).to(torch.bfloat16)


def compensated(weight: Tensor, gram: Tensor, bits: int, group: int) -> tuple[Tensor, Tensor]:
    """Return integers and scales as `quantized`, with the least error of the layer's output.

    Args:
        weight: (O, I); I is a multiple of `group`.
        gram: Sum (I, I) over calibration tokens of the outer product of the layer's input with itself.
        bits: Bits of an integer.
        group: Weights of a row that share a scale.
    """
    left, most = weight.float().clone(), 2 ** (bits - 1) - 1
    damped = gram.double() + _DAMPING * gram.diagonal().double().mean().clamp(min=1e-8) * torch.eye(len(gram))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    spread = torch.linalg.cholesky(inverse, upper=True).float()  # (I, I)
    integers = torch.zeros_like(left, dtype=torch.int8)
    scales = torch.zeros(len(left), left.shape[1] // group, dtype=torch.bfloat16)
    for start in range(0, left.shape[1], group):
        scales[:, start // group] = quantized(left[:, start : start + group], bits, group)[1][:, 0]
        scale = scales[:, start // group].float()
        for column in range(start, start + group):
            rounded = (left[:, column] / scale).round().clamp(-most - 1, most)
            error = (left[:, column] - rounded * scale) / spread[column, column]
            left[:, column:] -= error[:, None] * spread[column, column:]
            integers[:, column] = rounded.to(torch.int8)
    return integers, scales


@torch.inference_mode()
def gram_matrices(model: nn.Module, names: Iterable[str], batches: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return for each linear layer the sum (I, I) of the outer products of its inputs, over all tokens of the batches.

    Args:
        model: A model.
        names: Names of its linear layers.
        batches: Arguments of `model`, without padding.
    """
    sums: dict[str, Tensor] = {}

    def observe(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        tokens = inputs[0].float().flatten(0, -2)  # (T, I)
        sums[name] = sums.get(name, 0) + tokens.T @ tokens

    with contextlib.ExitStack() as stack:
        for name in names:
            hook = model.get_submodule(name).register_forward_pre_hook(partial(observe, name))
            stack.callback(hook.remove)
        for batch in batches:
            model(**batch)
    return sums
