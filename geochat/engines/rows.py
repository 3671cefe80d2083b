"""One answer among those being written together, and the choice of its next token.

Tokens are chosen on the CPU, so that a seed draws the same on every device.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from geochat.engines.prefix import Beginning, Key
from geochat.engines.prompt import Prompt
from geochat.engines.protocol import Chunk, Finish, GenerationSettings, Request, Usage
from geochat.engines.writing import RepetitionGuard, Writer
from geochat.errors import CheckpointError, GeoChatError


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """A request ready to be computed."""

    prompt: Prompt
    request: Request

    @property
    def generation(self) -> GenerationSettings:
        """Settings of generation."""
        return self.request.generation


class Row:
    """An answer being written, token by token, with a random generator and stop strings of its own.

    Args:
        job: What is answered.
        beginning: The part of the prompt whose keys and values are there.
        tokenizer: What the tokens mean.
        ends: Every id that ends an answer.
        guard: What ends an answer that repeats itself; None lets it.
        adapter: Which adapter the model used for the beginning, and uses for the rest.

    Attributes:
        job: What is answered.
        beginning: The part of the prompt whose keys and values are there.
        adapter: Which adapter the model uses.
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
        adapter: str = "",
    ) -> None:
        self.job = job
        self.beginning = beginning
        self.adapter = adapter
        self.generated: list[int] = []
        self._ends = ends
        self._writer = Writer(tokenizer, job.generation.stop, guard)
        self._generator = generator_for(job.generation)
        self._error: GeoChatError | None = None

    @property
    def own(self) -> tuple[int, ...]:
        """The tokens of the prompt after the beginning."""
        return self.job.prompt.ids[len(self.beginning) :]

    @property
    def read(self) -> Key:
        """Ids the model has read: the prompt, and all of the answer but its last token."""
        return self.job.prompt.key + tuple(self.generated[:-1])

    def take(self, logits: Tensor) -> str:
        """Choose the next token by its logits (V,); give the text that has become certain."""
        try:
            token, logprob = choose(logits, self.job.generation, self._generator)
        except CheckpointError as error:
            self._error = error
            return ""
        self.generated.append(token)
        return self._writer.feed(token, logprob)

    def end(self, *, cancelled: bool) -> Chunk | GeoChatError | None:
        """The last chunk, or the error, of an answer that ends here; None where it goes on.

        Args:
            cancelled: Whether nobody wants it any more.
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
