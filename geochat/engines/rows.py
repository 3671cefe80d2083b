"""Answers in generation, and sampling of the next token.

Tokens are sampled on the CPU, so that a seed gives the same result on every device.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from geochat.dialects import Dialect
from geochat.dialects.geochat import BraceSyntax
from geochat.engines.prefix import Beginning, Key
from geochat.engines.prompt import Prompt
from geochat.engines.protocol import Chunk, Finish, GenerationSettings, Request, Usage
from geochat.engines.writing import RepetitionGuard, Writer
from geochat.errors import CheckpointError, GeoChatError


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """A request ready for computation."""

    prompt: Prompt
    request: Request

    @property
    def generation(self) -> GenerationSettings:
        """Settings of generation."""
        return self.request.generation


@dataclass(frozen=True, eq=False, slots=True)
class BoxTokens:
    """The tokens of boxes in a vocabulary that has one token for each number.

    Such a number means nothing outside a box, so it is generated in boxes only; an unsure model puts it anywhere.

    Attributes:
        numbers: Ids of the numbers, such as `<42>`, (N,).
        braces: The last brace of each token that has one, by the token's id.
    """

    numbers: Tensor
    braces: Mapping[int, str]

    @classmethod
    def find(cls, tokenizer: PreTrainedTokenizerBase, dialect: Dialect) -> "BoxTokens | None":
        """Return the tokens of boxes; None if numbers are written in several tokens, or not in braces."""
        if not isinstance(dialect.syntax, BraceSyntax):
            return None
        pieces: dict[str, int] = tokenizer.get_vocab()
        numbers = sorted(token for piece, token in pieces.items() if re.fullmatch(r"<-?\d+>", piece))
        braces = {token: found[-1] for piece, token in pieces.items() if (found := re.findall("[{}]", piece))}
        return cls(torch.tensor(numbers), braces) if numbers else None

    def are_open(self, generated: Sequence[int]) -> bool:
        """Return whether an answer of these tokens ends inside a box."""
        return next((self.braces[token] == "{" for token in reversed(generated) if token in self.braces), False)


class Row:
    """An answer in generation, with its own random generator and stop strings.

    Args:
        job: The job.
        beginning: The cached prefix of the prompt.
        tokenizer: Tokenizer of the tokens.
        ends: Every id that ends an answer.
        guard: Guard that ends a repeating answer; None for none.
        boxes: Tokens that belong into boxes; None for none.
        adapter: Adapter that the model uses.

    Attributes:
        job: The job.
        beginning: The cached prefix of the prompt.
        adapter: Adapter that the model uses.
        generated: Token ids so far.
    """

    def __init__(
        self,
        job: Job,
        beginning: Beginning,
        tokenizer: PreTrainedTokenizerBase,
        ends: frozenset[int],
        guard: RepetitionGuard | None = None,
        *,
        boxes: BoxTokens | None = None,
        adapter: str = "",
    ) -> None:
        self.job = job
        self.beginning = beginning
        self.adapter = adapter
        self.generated: list[int] = []
        self._ends = ends
        self._boxes = boxes
        self._writer = Writer(tokenizer, job.generation.stop, guard)
        self._generator = generator_for(job.generation)
        self._error: GeoChatError | None = None

    @property
    def own(self) -> tuple[int, ...]:
        """The tokens of the prompt after the cached prefix."""
        return self.job.prompt.ids[len(self.beginning) :]

    @property
    def read(self) -> Key:
        """Ids that the model has read: the prompt, and all of the answer except the last token."""
        return self.job.prompt.key + tuple(self.generated[:-1])

    def take(self, logits: Tensor) -> str:
        """Select the next token from its logits (V,); return the text that has become certain."""
        if self._boxes is not None and not self._boxes.are_open(self.generated):
            logits = logits.index_fill(-1, self._boxes.numbers, -math.inf)
        try:
            token, logprob = choose(logits, self.job.generation, self._generator)
        except CheckpointError as error:
            self._error = error
            return ""
        self.generated.append(token)
        return self._writer.feed(token, logprob)

    def end(self, *, cancelled: bool) -> Chunk | GeoChatError | None:
        """Return the last chunk, or the error, of an answer that ends here; None if it continues.

        Args:
            cancelled: Whether the request was cancelled.
        """
        if self._error is not None:
            return self._error
        finish = self._finish(cancelled=cancelled)
        if finish is None:
            return None
        usage = Usage(len(self.job.prompt.ids), len(self.generated))
        return Chunk(self._writer.close(), finish, usage, self._writer.scores)

    def _finish(self, *, cancelled: bool) -> Finish | None:
        if self._writer.stopped or (self.generated and self.generated[-1] in self._ends):
            return "stop"
        if self._writer.repeated:
            return "repetition"
        if len(self.generated) >= self.job.generation.max_new_tokens:
            return "length"
        return "cancelled" if cancelled else None


def generator_for(settings: GenerationSettings) -> torch.Generator:
    """Return a separate random generator for one answer, leaving the process-wide one unchanged."""
    generator = torch.Generator()
    if settings.seed is None:
        generator.seed()
    else:
        generator.manual_seed(settings.seed)
    return generator


def choose(logits: torch.Tensor, settings: GenerationSettings, generator: torch.Generator) -> tuple[int, float]:
    """Return the next token's id and its log-probability at temperature 1.

    Args:
        logits: (V,), minus infinity where a token must not be generated.
        settings: Greedy at temperature 0; otherwise nucleus sampling (Holtzman et al. 2020).
        generator: Random generator.

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
    """Return probabilities (V,) at the temperature, zero outside the smallest set that holds `top_p`."""
    # Shifting first keeps tiny temperatures from overflowing.
    probs = torch.softmax((logprobs - logprobs.max()) / settings.temperature, dim=-1)
    if settings.top_p == 1:
        return probs
    ranked, order = probs.sort(descending=True)
    outside = ranked.cumsum(-1) - ranked >= settings.top_p  # the set before this token already holds top_p
    return probs.index_fill(-1, order[outside], 0.0)
