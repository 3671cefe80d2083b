"""Rollouts: sampled and rewarded answers to a batch of questions, packed for the policy's forward passes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from geochat_data.encoding import IGNORED, Example
from geochat_data.samples import Sample
from geochat_train.recipe import GrpoRecipe
from geochat_train.reinforcement.objective import advantages_of
from geochat_train.reinforcement.rewards import Attempt, Grade
from geochat_train.reinforcement.sampling import Vocabulary
from geochat_train.tuning.packing import join, pad


@dataclass(frozen=True)
class Answered:
    """A sampled answer to the last question of a sample.

    Attributes:
        sample: The sample, whose last message is the true answer.
        attempt: Truth and answer.
        grade: Its reward.
        tokens: Its tokens, the end included.
    """

    sample: Sample
    attempt: Attempt
    grade: Grade
    tokens: list[int]


@dataclass
class Rollout:
    """Answers to N questions, K each, packed into N rows, with L positions at which some row holds an answer's token.

    Attributes:
        inputs: The model's inputs: each row holds its prompt once, then the K answers, which do not see one another.
        targets: The answers' tokens, -100 elsewhere; (N, L).
        advantages: Advantage of each token's answer, (N, L).
        weights: Weight of each token in the loss, (N, L).
        sampled: Log-probabilities by the policy that sampled the answers, (N, L); None before the first step on them.
        reference: Log-probabilities by the starting model, (N, L); None without one.
    """

    inputs: dict[str, Any]
    targets: Tensor
    advantages: Tensor
    weights: Tensor
    sampled: Tensor | None = None
    reference: Tensor | None = None

    def logprobs(self, model: nn.Module, vocabulary: Vocabulary, temperature: float) -> Tensor:
        """Return the log-probabilities of the answers' tokens at the temperature of sampling, (N, L); 0 elsewhere."""
        logits = model(**self.inputs, use_cache=False).logits.float() / temperature  # (N, L, V)
        there = self.targets != IGNORED
        chosen = self.targets.where(there, 0).unsqueeze(-1)
        found = vocabulary.allowed(logits).log_softmax(-1).gather(-1, chosen).squeeze(-1)
        return found.where(there, 0.0)


def packed(prompts: dict[str, Any], answered: Sequence[Answered], recipe: GrpoRecipe, rewards: Tensor) -> Rollout:
    """Pack the answers to a batch of questions.

    Args:
        prompts: `input_ids` and `attention_mask` (N, P), padded on the left; `pixel_values` if there are images.
        answered: N groups of K answers, group after group.
        recipe: Recipe of the run.
        rewards: Their rewards, (N, K).
    """
    count = recipe.group_size
    rows = []
    for number, (ids, mask) in enumerate(zip(prompts["input_ids"], prompts["attention_mask"], strict=True)):
        prompt = ids[mask.bool()].tolist()
        group = [one.tokens for one in answered[number * count : (number + 1) * count]]
        examples = [Example(prompt + tokens, [IGNORED] * len(prompt) + tokens) for tokens in group]
        rows.append(join(examples, len(prompt) - 1))
    device = prompts["input_ids"].device
    batch = {n: t.to(device) for n, t in pad(rows, 0, additive=recipe.attention == "eager").items()}
    segments = pad_sequence([row.segments for row in rows], batch_first=True).to(device)[:, 1:]
    labels = batch.pop("labels")[:, 1:]
    kept = (labels != IGNORED).any(0).nonzero().squeeze(1)  # (L,)
    targets, segments = labels[:, kept], segments[:, kept]
    place = (segments - 1).clamp(min=0)
    advantages = advantages_of(rewards, scale=recipe.scale_rewards).to(device)
    lengths = torch.tensor([len(one.tokens) for one in answered], dtype=torch.float32, device=device).view(-1, count)
    if recipe.average == "constant":
        lengths = torch.full_like(lengths, recipe.max_new_tokens)
    weights = (1 / lengths / lengths.numel()).gather(1, place).where(targets != IGNORED, 0.0)
    images = {name: prompts[name] for name in ("pixel_values",) if name in prompts}
    return Rollout({**batch, **images, "logits_to_keep": kept}, targets, advantages.gather(1, place), weights)
