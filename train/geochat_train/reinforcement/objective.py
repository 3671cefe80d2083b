"""The objective of GRPO (Shao et al. 2024, "DeepSeekMath", section 4.1), and its normalisations.

Each token of an answer carries the answer's advantage: its reward less the group's mean, over the group's standard
deviation. The probability ratio to the policy that sampled the answer is clipped as in PPO (Schulman et al. 2017). The
divergence from the starting model is estimated per token without bias (Schulman 2020, "Approximating KL divergence"):
r - log r - 1 with r = p_start / p.

Dr. GRPO (Liu et al. 2025, "Understanding R1-Zero-like training", section 3.2) shows that both divisions bias: the
standard deviation favours questions that are nearly always right or wrong, and the mean over an answer's own tokens
long wrong answers. It leaves out the first and divides by a constant.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_LEAST = 1e-4  # added to the standard deviation


def advantages_of(rewards: Tensor, *, scale: bool) -> Tensor:
    """Return the advantages of answers, which sum to zero in each group.

    Args:
        rewards: Rewards of N groups of K answers, (N, K).
        scale: Whether to divide by the group's standard deviation.

    Returns:
        Shape (N, K); all zero in a group of equal rewards.
    """
    centered = rewards - rewards.mean(1, keepdim=True)
    return centered / (rewards.std(1, keepdim=True) + _LEAST) if scale else centered


@dataclass(frozen=True)
class Loss:
    """Loss of a batch, and what it consists of.

    Attributes:
        total: Loss to minimise.
        divergence: Mean estimate of the divergence per token, None without a reference.
        clipped: Share of the tokens whose ratio was clipped.
    """

    total: Tensor
    divergence: float | None
    clipped: float


def clipped_loss(
    logprobs: Tensor,
    sampled: Tensor,
    advantages: Tensor,
    weights: Tensor,
    *,
    clip: float,
    reference: Tensor | None = None,
    kl: float = 0.0,
) -> Loss:
    """Return the negative clipped objective. All tensors have the shape of `logprobs`.

    Args:
        logprobs: Log-probabilities of the sampled tokens by the policy.
        sampled: The same by the policy that sampled them.
        advantages: Advantage of each token's answer.
        weights: Weight of each token in the loss, 0 where there is none.
        clip: Largest change of the ratio that is rewarded.
        reference: Log-probabilities by the starting model.
        kl: Coefficient of the divergence from it.
    """
    ratio = torch.exp(logprobs - sampled)
    limited = ratio.clamp(1 - clip, 1 + clip)
    gain = torch.minimum(ratio * advantages, limited * advantages)
    there = weights > 0
    clipped = ((limited * advantages < ratio * advantages) & there).sum() / there.sum()
    total, divergence = -(weights * gain).sum(), None
    if reference is not None:
        gap = reference - logprobs
        penalty = torch.exp(gap) - gap - 1
        total = total + kl * (weights * penalty).sum()
        divergence = (penalty.detach() * there).sum().item() / int(there.sum())
    return Loss(total, divergence, clipped.item())
