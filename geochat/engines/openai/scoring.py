"""Scores of a closed set of answers, by a server that scores prompts as vLLM does (`prompt_logprobs`).

The conversation is sent with each choice as the assistant's turn, and once without one. The tokens of a choice are
those after the common prefix, including the end token, as in the local engine. Servers read such prompts without their
cache, so a question with n choices costs n + 1 prompts.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geochat.engines.protocol import ChoiceScore, Chunk, TokenScore, Usage
from geochat.engines.writing import TextWriter
from geochat.errors import EngineError

Scored = list[tuple[int, str, float]]
"""The tokens of a prompt: id, text, and log-probability, NaN for the first."""


def scored_prompt(answer: Mapping[str, Any]) -> Scored:
    """Return the tokens of a prompt from a server's answer.

    Raises:
        EngineError: It does not say how likely they are.
    """
    try:
        return [_token(entry) for entry in answer["prompt_logprobs"]]
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise EngineError("the server does not say how likely the choices are; ask without choices") from error


def _token(entry: Mapping[str, Any] | None) -> tuple[int, str, float]:
    if entry is None:
        return -1, "", math.nan
    name, about = next(iter(entry.items()))  # without others asked for, the prompt's own token alone
    return int(name), str(about.get("decoded_token") or ""), float(about["logprob"])


def likeliest(choices: Sequence[str], prompt: Scored, turns: Sequence[Scored]) -> Chunk:
    """Return the most probable choice as a completion, with the probabilities of all.

    Args:
        choices: The answers to choose from.
        prompt: The prompt of the choices.
        turns: The same with each choice.

    Raises:
        EngineError: A choice adds nothing to the prompt.
    """
    added = [turn[_common(prompt, turn) :] for turn in turns]
    if not all(added):
        raise EngineError("the server's chat template drops the assistant's turn; ask without choices")
    means = [math.fsum(logprob for _, _, logprob in tokens) / len(tokens) for tokens in added]
    best = max(range(len(choices)), key=means.__getitem__)
    weights = [math.exp(mean - means[best]) for mean in means]
    total = math.fsum(weights)
    scores = tuple(map(ChoiceScore, choices, means, (weight / total for weight in weights)))
    tokens = added[best]
    usage = Usage(len(turns[best]) - len(tokens), len(tokens))
    return Chunk(choices[best], "stop", usage, _spans(choices[best], tokens), scores)


def _common(one: Scored, other: Scored) -> int:
    """Return the number of leading tokens that both share."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a[0] != b[0]), min(len(one), len(other)))


def _spans(text: str, tokens: Scored) -> tuple[TokenScore, ...]:
    """Return the text that each token adds to the choice; the last, which ends it, adds none."""
    writer = TextWriter()
    for token, piece, logprob in tokens[:-1]:
        writer.add(token, piece, logprob)
    _, _, logprob = tokens[-1]
    writer.add(tokens[-1][0], "", logprob)
    return tuple(TokenScore(min(s.start, len(text)), min(s.end, len(text)), s.logprob) for s in writer.scores)
