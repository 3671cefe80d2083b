"""One answer among those being written together."""

from dataclasses import dataclass

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from geochat.engines.prefix import Beginning, Key
from geochat.engines.prompt import Prompt
from geochat.engines.protocol import Chunk, Finish, GenerationSettings, Request, Usage
from geochat.engines.repetition import RepetitionGuard
from geochat.engines.sampling import choose, generator_for
from geochat.engines.writing import Writer
from geochat.errors import CheckpointError, GeoChatError


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """A request ready to be computed; `number` is its place among those given together."""

    number: int
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

    Attributes:
        job: What is answered.
        beginning: The part of the prompt whose keys and values are there.
        generated: Token ids so far.
    """

    def __init__(
        self,
        job: Job,
        beginning: Beginning,
        tokenizer: PreTrainedTokenizerBase,
        ends: frozenset[int],
        guard: RepetitionGuard | None = None,
    ) -> None:
        self.job = job
        self.beginning = beginning
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
