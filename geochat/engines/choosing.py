"""Scores of a closed set of answers.

All choices of a question are read together, as rows that attend to one copy of the prompt's keys and values. A row is
padded on the right, where causal attention does not see it.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerBase

from geochat.engines.attention import Span
from geochat.engines.batch import Batch
from geochat.engines.prefix import Beginning, PrefixCache
from geochat.engines.prompt import Prompt, Turn
from geochat.engines.protocol import ChoiceScore, Chunk, TokenScore, Usage
from geochat.engines.rows import Job, Row
from geochat.engines.writing import Writer
from geochat.errors import CheckpointError, GeoChatError

_POSITIONS = 1024  # of a pass; bounds the memory that its logits take

Logprobs = tuple[float, ...]
"""Of each token of a turn, the end token included."""

_NOTHING = torch.empty(0, dtype=torch.long)


class Scorer:
    """Scores choices, one forward pass at a time.

    Args:
        model: The model.
        tokenizer: Tokenizer of the tokens.
        prefixes: Cache that receives the prompt's prefix.
        most: Choices read in one pass.
    """

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        prefixes: PrefixCache,
        most: int,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._prefixes = prefixes
        self._most = most

    def score(self, row: Row, is_cancelled: Callable[[Job], bool]) -> Iterator[Chunk | GeoChatError | None]:
        """Yield None after each forward pass, then the answer to the row's request.

        Raises:
            CheckpointError: The model computes NaN.
        """
        batch = Batch(self._model, [row], _NOTHING)  # what is never written freely may be part of a choice
        first, own = batch.forward()[0], batch.keyvalues(0)
        prompt = Beginning((*row.beginning.pieces, (own, len(own))))
        turns = row.job.prompt.turns
        logprobs: dict[int, Logprobs] = {}
        for indices in passes(turns, self._most):
            yield row.end(cancelled=is_cancelled(row.job))
            read = read_turns(self._model, [turns[index] for index in indices], prompt, first)
            logprobs.update(zip(indices, read, strict=True))
        self._prefixes.insert(row.read, len(row.beginning), own, row.adapter)
        ordered = [logprobs[index] for index in range(len(turns))]
        yield chosen(row.job.request.choices, row.job.prompt, ordered, self._tokenizer)


def passes(turns: Sequence[Turn], most: int) -> Iterator[list[int]]:
    """Group turns of similar length, to limit padding."""
    rows: list[int] = []
    for index in sorted(range(len(turns)), key=lambda index: len(turns[index].ids)):
        if rows and (len(rows) == most or (len(rows) + 1) * len(turns[index].ids) > _POSITIONS):
            yield rows
            rows = []
        rows.append(index)
    if rows:
        yield rows


@torch.inference_mode()
def read_turns(
    model: LlavaForConditionalGeneration, turns: Sequence[Turn], prompt: Beginning, first: Tensor
) -> list[Logprobs]:
    """The log-probabilities of each turn's tokens.

    Args:
        model: The model.
        turns: Possible continuations of the prompt.
        prompt: Keys and values of the whole prompt.
        first: Logits (V,) of the token that follows it.

    Raises:
        CheckpointError: The model computes NaN.
    """
    rows, length = len(turns), max(len(turn.ids) for turn in turns)
    ids = torch.tensor([[*turn.ids, *[0] * (length - len(turn.ids))] for turn in turns])  # (R, T)
    found = torch.log_softmax(first.float(), dim=-1)[ids[:, :1]]  # (R, 1)
    if length > 1:  # the last token is predicted and not read
        read = ids[:, :-1].to(model.device)
        steps = torch.arange(length - 1, device=model.device)
        causal = steps[:, None] >= steps
        output = model(
            input_ids=read,
            position_ids=(len(prompt) + steps).expand(rows, -1),
            attention_mask=causal.expand(rows, 1, -1, -1),
            use_cache=False,
            spans=[Span(0, rows, held if count == len(held) else held.view(count)) for held, count in prompt.pieces],
        )
        logprobs = torch.log_softmax(output.logits.float(), dim=-1)  # (R, T - 1, V)
        found = torch.cat([found, logprobs.gather(-1, ids[:, 1:, None].to(model.device))[..., 0].cpu()], dim=1)
    scored = [tuple(row[turn.start : len(turn.ids)]) for row, turn in zip(found.tolist(), turns, strict=True)]
    if any(math.isnan(logprob) for row in scored for logprob in row):
        raise CheckpointError("the model computed NaN instead of probabilities; load it with dtype float32")
    return scored


def chosen(
    choices: Sequence[str], prompt: Prompt, logprobs: Sequence[Logprobs], tokenizer: PreTrainedTokenizerBase
) -> Chunk:
    """Return the most probable choice as a completion, with the probabilities of all.

    Args:
        choices: The answers to choose from.
        prompt: The prompt of the choices, with a turn for each.
        logprobs: Log-probabilities of each turn.
        tokenizer: Tokenizer of the tokens.
    """
    means = [math.fsum(row) / len(row) for row in logprobs]
    best = max(range(len(choices)), key=means.__getitem__)
    weights = [math.exp(mean - means[best]) for mean in means]
    scores = (
        ChoiceScore(choice, mean, weight / math.fsum(weights))
        for choice, mean, weight in zip(choices, means, weights, strict=True)
    )
    turn, text = prompt.turns[best], choices[best]
    usage = Usage(len(prompt.ids) + turn.start, len(turn))
    return Chunk(text, "stop", usage, _token_scores(text, turn, logprobs[best], tokenizer), tuple(scores))


def _token_scores(
    text: str, turn: Turn, logprobs: Logprobs, tokenizer: PreTrainedTokenizerBase
) -> tuple[TokenScore, ...]:
    """Return the text that each token of a turn adds, given that the turn ends with the decoded tokens."""
    writer, written = Writer(tokenizer), 0
    for token, logprob in zip(turn.ids[turn.start :], logprobs, strict=True):
        written += len(writer.feed(token, logprob))
    shift = len(text) - written - len(writer.close())

    def placed(place: int) -> int:
        return min(max(place + shift, 0), len(text))

    return tuple(TokenScore(placed(score.start), placed(score.end), score.logprob) for score in writer.scores)
