"""Sampling of answers: a prompt and its image are computed once for its group, then all answers token by token.

`generate` would compute the image for each answer, and its samples depend on the process-wide random generator, which a
resumed run does not find as it was. Here the cache of the prompts is repeated, and the generator is the caller's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, LlavaForConditionalGeneration

from geochat.checkpoints import Checkpoint
from geochat.engines.attention import CACHE
from geochat.engines.local import suppressed_tokens
from geochat.engines.prompt import Encoder


@dataclass(frozen=True)
class Vocabulary:
    """Tokens with a role of their own.

    Attributes:
        ends: Ids that end an answer.
        suppressed: Ids that are never generated, such as the image placeholder; (S,).
    """

    ends: frozenset[int]
    suppressed: Tensor

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "Vocabulary":
        """Return those of a checkpoint, as its answers are generated elsewhere."""
        ends = Encoder(checkpoint, checkpoint.info).ends
        return cls(ends, suppressed_tokens(checkpoint, ends))

    def allowed(self, logits: Tensor) -> Tensor:
        """Return logits (..., V) with minus infinity for suppressed tokens."""
        return logits.index_fill(-1, self.suppressed.to(logits.device), -torch.inf)


@torch.no_grad()
def sample_answers(
    model: LlavaForConditionalGeneration,
    prompts: dict[str, Tensor],
    vocabulary: Vocabulary,
    *,
    count: int,
    max_new_tokens: int,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Sample answers to N prompts.

    Args:
        model: The model, in evaluation mode.
        prompts: `input_ids` and `attention_mask` (N, P), padded on the left; `pixel_values` if there are images.
        vocabulary: Tokens with a role of their own.
        count: Answers to each prompt.
        max_new_tokens: Longest answer.
        temperature: Temperature of sampling; 0 takes the most probable token.
        generator: Random generator, on the CPU, so that a seed gives the same tokens on every device.

    Returns:
        N x count answers, those to one prompt in sequence, as tokens with the one that ends them, if they end.

    Raises:
        RuntimeError: Probabilities are no numbers.
    """
    cache = DynamicCache(config=model.config.get_text_config())
    mask = prompts["attention_mask"]
    positions = (mask.cumsum(1) - 1).clamp(min=0)  # (N, P)
    done = model(**prompts, position_ids=positions, use_cache=True, logits_to_keep=1, **{CACHE: cache})
    cache.batch_repeat_interleave(count)
    logits = done.logits[:, -1].repeat_interleave(count, 0)  # (N x count, V)
    mask, position = mask.repeat_interleave(count, 0), positions[:, -1:].repeat_interleave(count, 0)
    last = torch.tensor(sorted(vocabulary.ends), device=mask.device)
    alive = torch.ones(len(mask), dtype=torch.bool, device=mask.device)
    taken: list[Tensor] = []
    for step in range(max_new_tokens):
        chosen = _choose(vocabulary.allowed(logits.float()), temperature, generator)
        taken.append(torch.where(alive, chosen, -1))
        alive = alive & ~torch.isin(chosen, last)
        if not alive.any() or step + 1 == max_new_tokens:
            break
        mask, position = torch.cat([mask, mask.new_ones(len(mask), 1)], 1), position + 1
        done = model(
            input_ids=chosen[:, None], attention_mask=mask, position_ids=position, use_cache=True, **{CACHE: cache}
        )
        logits = done.logits[:, -1]
    return [[token for token in row if token >= 0] for row in torch.stack(taken, 1).tolist()]


def _choose(logits: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """Return a token for each row of logits (B, V)."""
    if not temperature:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits / temperature, -1).cpu()
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1).to(logits.device)
