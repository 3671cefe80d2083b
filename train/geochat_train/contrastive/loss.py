"""The symmetric contrastive loss of CLIP (Radford et al. 2021, section 2.3), over the batches of all processes.

Each process contrasts its own pairs with those of all processes. Gathering is differentiable, so gradients of the other
processes' losses flow back to a process's features. Data-parallel training averages gradients over processes, which
equals the gradients of a single process with the whole batch, for the encoders and the temperature.
"""

import math
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

MAX_SCALE = 100.0
INITIAL_LOG_SCALE = math.log(1 / 0.07)


def contrastive_loss(images: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    """Cross-entropy of each image among all texts and of each text among all images, averaged.

    Args:
        images: Features of this process's images, (B, D), of any length; normalised here. B is the same everywhere.
        texts: Features of their texts, (B, D).
        log_scale: s, where cosines are multiplied by exp(s), at most 100. One value, of any shape.

    Returns:
        The mean over this process's pairs, (); its mean over processes is the loss of the whole batch.
    """
    images, texts = functional.normalize(images, dim=-1), functional.normalize(texts, dim=-1)
    everybody, first = gathered(torch.stack([images, texts]))  # (2, W B, D)
    scale = log_scale.reshape(()).clamp(max=math.log(MAX_SCALE)).exp()
    pairs = torch.arange(first, first + len(images), device=images.device)
    to_texts = functional.cross_entropy(scale * images @ everybody[1].T, pairs)  # (B, W B)
    to_images = functional.cross_entropy(scale * texts @ everybody[0].T, pairs)
    return (to_texts + to_images) / 2


def gathered(features: Tensor) -> tuple[Tensor, int]:
    """Gather features (2, B, D) of all processes into (2, W B, D); also return the index of the caller's own."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return features, 0
    everybody: Tensor = _Gather.apply(features)  # type: ignore[no-untyped-call]
    return everybody, distributed.get_rank() * features.shape[1]


class _Gather(torch.autograd.Function):
    """Differentiable gather: torch's own is deprecated from 2.13 on, and its successor does not exist in 2.9."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:  # noqa: ANN401 - torch's own type
        ctx.count = features.shape[1]
        parts = [torch.empty_like(features) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, features.contiguous())
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401
        """Gradient of all processes' losses with respect to this process's features."""
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.narrow(1, distributed.get_rank() * ctx.count, ctx.count)


@torch.no_grad()
def clamp_scale(log_scale: nn.Parameter) -> None:
    """Clamp s to log 100 after a step beyond it, where the loss has no slope to bring it back."""
    log_scale.clamp_(max=math.log(MAX_SCALE))
