"""Answers from a closed set: scored by the engine, or matched to the model's text."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Literal, TypeVar

from geochat.assistant.interpretation import Interpretation
from geochat.engines import ChoiceScore, Chunk, Completion
from geochat.prompts.phrases import match_choice

ChoiceMethod = Literal["scored", "matched", "unmatched"]
"""Source of a choice: the engine scored the offered answers; the model wrote one of them, up to
spelling, plural and synonym; or it is none of them."""

Answered = TypeVar("Answered", Chunk, Completion)


def as_offered(answered: Answered, understood: Interpretation) -> Answered:
    """Translate an engine's answer into the names the user offered; unchanged if nothing was scored.

    A choice that the model knows under several names has the score of the most probable one. The answer is the most
    probable choice; of numbers in order the median, because a model in doubt holds "1" for the most probable number.

    Args:
        answered: A chunk or completion with the scores of every name.
        understood: Interpretation of the question, with the answers offered.
    """
    choices, ordered = understood.choices, understood.ordered
    if not answered.choices or (not ordered and [score.text for score in answered.choices] == list(choices)):
        return answered
    scores = {score.text: score.logprob for score in answered.choices}
    logprobs = [max(scores[name] for name in understood.aliases.get(choice, (choice,))) for choice in choices]
    offered = _scores(choices, logprobs)
    best = _median(offered) if ordered else max(offered, key=lambda score: score.logprob)
    tokens = answered.tokens if best.text == answered.text else ()  # their spans are those of another text
    return replace(answered, text=best.text, tokens=tokens, choices=offered)


def choose(text: str, scores: Sequence[ChoiceScore], choices: Sequence[str]) -> tuple[str | None, ChoiceMethod | None]:
    """Return the choice that an answer means and how it was found; None for both if nothing was offered.

    Args:
        text: Text of the answer; with scores, one of the choices.
        scores: The choices' scores, where the engine gave them.
        choices: The answers offered.
    """
    if not choices:
        return None, None
    if scores:
        return text, "scored"
    matched = match_choice(text, choices)
    return matched, "unmatched" if matched is None else "matched"


def _median(scores: Sequence[ChoiceScore]) -> ChoiceScore:
    """Return the first score up to which the probabilities add up to a half."""
    sums = accumulate(score.probability for score in scores)
    return next((score for score, below in zip(scores, sums, strict=True) if below >= 0.5), scores[-1])


def _scores(texts: Sequence[str], logprobs: Sequence[float]) -> tuple[ChoiceScore, ...]:
    highest = max(logprobs)
    weights = [math.exp(logprob - highest) for logprob in logprobs]
    total = math.fsum(weights)
    pairs = zip(texts, logprobs, weights, strict=True)
    return tuple(ChoiceScore(text, logprob, weight / total) for text, logprob, weight in pairs)
