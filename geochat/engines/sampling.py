"""Choosing the next token, on the CPU, so that a seed draws the same on every device."""

import math

import torch

from geochat.engines.protocol import GenerationSettings
from geochat.errors import CheckpointError


def generator_for(settings: GenerationSettings) -> torch.Generator:
    """A random generator of its own for one answer, so that the process-wide one stays as it was."""
    generator = torch.Generator()
    if settings.seed is None:
        generator.seed()
    else:
        generator.manual_seed(settings.seed)
    return generator


def choose(logits: torch.Tensor, settings: GenerationSettings, generator: torch.Generator) -> tuple[int, float]:
    """The next token's id and its log-probability at temperature 1.

    Args:
        logits: (V,), minus infinity where a token must not be generated.
        settings: Greedy at temperature 0; otherwise nucleus sampling (Holtzman et al. 2020).
        generator: Where randomness comes from.

    Raises:
        CheckpointError: The logits are not numbers.
    """
    logprobs = torch.log_softmax(logits.float(), dim=-1)  # (V,)
    if math.isnan(logprobs[0].item()):  # one NaN among the logits makes all of these NaN
        raise CheckpointError("the model computed NaN instead of probabilities; load it with dtype float32")
    if settings.temperature == 0:
        token = logprobs.argmax()
    else:
        token = torch.multinomial(_nucleus(logprobs, settings), 1, generator=generator)[0]
    return int(token), logprobs[token].item()


def _nucleus(logprobs: torch.Tensor, settings: GenerationSettings) -> torch.Tensor:
    """Probabilities (V,) at the temperature, zero outside the smallest set that holds `top_p`."""
    # Shifting first keeps tiny temperatures from overflowing.
    probs = torch.softmax((logprobs - logprobs.max()) / settings.temperature, dim=-1)
    if settings.top_p == 1:
        return probs
    ranked, order = probs.sort(descending=True)
    outside = ranked.cumsum(-1) - ranked >= settings.top_p  # the set before this token already holds top_p
    return probs.index_fill(-1, order[outside], 0.0)
