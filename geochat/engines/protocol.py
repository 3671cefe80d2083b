"""The protocol of engines: requests in, chunks and completions out.

The protocol contains neither token ids nor torch, and all of it is plain data that can be pickled, so that an engine in
another process, behind HTTP or in a Ray actor can implement it. A request is cancelled by its id.
"""

import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from geochat.errors import GeoChatError, PromptError, SettingsError

if TYPE_CHECKING:
    from PIL import Image

    from geochat.models import ModelInfo
    from geochat.prompts import Message

Finish = Literal["stop", "length", "cancelled", "repetition"]
"""Why an answer ends: it is whole, its budget is spent, nobody wants it any more, or it began to repeat itself."""


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """Settings of generation.

    Attributes:
        max_new_tokens: Maximum number of tokens of the answer; counts towards the context.
        temperature: 0 selects the most probable token; higher values sample from a flatter distribution.
        top_p: Sample only from the most probable tokens with this total probability. Needs a temperature.
        seed: Seed of sampling; None differs each time.
        stop: Strings that end the answer where they first appear; they are not part of it.

    Raises:
        SettingsError: A value is impossible.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise SettingsError(f"max_new_tokens={self.max_new_tokens} leaves no room to answer; give 1 or more")
        if not (self.temperature >= 0 and math.isfinite(self.temperature)):
            raise SettingsError(f"temperature={self.temperature} is impossible; give 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p={self.top_p} is no probability; give more than 0 and at most 1")
        if self.top_p < 1 and self.temperature == 0:
            raise SettingsError(f"top_p={self.top_p} has no effect at temperature 0; set a temperature too")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise SettingsError(f"seed={self.seed} is out of range; give 0 or more, below 2**63")
        if isinstance(self.stop, str) or not all(self.stop):
            raise SettingsError(f"stop={self.stop!r} is impossible; give a tuple of non-empty strings")


@dataclass(frozen=True, slots=True)
class Request:
    """One question to an engine.

    Attributes:
        messages: The conversation, ending with the user's turn.
        images: What the first user turn shows, RGB, before letterboxing (the engine does that); empty asks about no
            image. How many an engine takes is in its `Capabilities`.
        generation: Generation settings.
        choices: A closed set of answers: an engine whose capabilities say so answers with the likeliest of them, and
            tells how likely each is. Nothing is drawn then, and `generation` does not matter. Empty for a free answer.
        id: By which it is cancelled; unique among the requests an engine has in hand.
    """

    messages: "tuple[Message, ...]"
    images: "tuple[Image.Image, ...]" = ()
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    choices: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)

    def check_choices(self) -> None:
        """Check that the choices form a set of answers.

        Raises:
            PromptError: One is empty or given twice.
        """
        for number, choice in enumerate(self.choices, 1):
            if not choice.strip():
                raise PromptError(f"choice {number} of {len(self.choices)} is empty; leave it out")
            if choice in self.choices[: number - 1]:
                raise PromptError(f"the choice {choice!r} is given twice; leave one out")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read, image placeholders included, and tokens generated, the end token included."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class TokenScore:
    """The text that one generated token added, and its log-probability.

    Attributes:
        start: Start index of its characters in the completion's text.
        end: End index; equal to `start` for the end token and for the first bytes of a character.
        logprob: Natural logarithm of its probability at temperature 1.
    """

    start: int
    end: int
    logprob: float


@dataclass(frozen=True, slots=True)
class ChoiceScore:
    """The score of one of a closed set of answers.

    Attributes:
        text: The answer.
        logprob: Mean natural logarithm of the probabilities of its tokens, the end token included. The mean, because a
            sum would favour short answers.
        probability: The share of `exp(logprob)` among the choices; they sum to 1.
    """

    text: str
    logprob: float
    probability: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer; the last one, which may be empty, has `finish`, `usage`, `tokens` and `choices` set.

    `choices` are in the order of the request's; empty for a free answer, and for a cancelled one.
    """

    text: str
    finish: Finish | None = None
    usage: Usage | None = None
    tokens: tuple[TokenScore, ...] = ()
    choices: tuple[ChoiceScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A complete answer: the text of all chunks, with the fields of the last one."""

    text: str
    finish: Finish
    usage: Usage
    tokens: tuple[TokenScore, ...] = ()
    choices: tuple[ChoiceScore, ...] = ()


BatchEvent = tuple[int, Chunk | GeoChatError]
"""The number of a request, and a piece of its answer or the error that ended it."""


class Engine(Protocol):
    """Generates answers. Thread-safe."""

    @property
    def info(self) -> "ModelInfo":
        """The facts about its model, and what it can do."""
        ...

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Stream an answer.

        Raises:
            GeoChatError: The request cannot be answered; raised by the call itself where that is known at once.
        """
        ...

    def generate(self, request: Request) -> Completion:
        """Return a complete answer."""
        ...

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer many requests as if each were alone, in any order; pieces of one answer keep their order.

        Args:
            requests: Taken a few at a time.

        Yields:
            A request's number, and the next piece of its answer or the error that ended it.
        """
        ...

    def cancel(self, request_id: str) -> None:
        """Stop a request before its next token; its answer then finishes as "cancelled".

        May be called from any thread, and before the request is started. Requests that have ended, or are unknown, are
        ignored.
        """
        ...


def complete(chunks: Iterable[Chunk]) -> Completion:
    """Join a stream into one completion.

    Raises:
        ValueError: The stream ended without a last chunk, which breaks the protocol.
    """
    texts: list[str] = []
    for chunk in chunks:
        texts.append(chunk.text)
        if chunk.finish is not None and chunk.usage is not None:
            return Completion("".join(texts), chunk.finish, chunk.usage, chunk.tokens, chunk.choices)
    raise ValueError("the engine's stream ended without saying how; its last chunk must have finish and usage")


def one_by_one(engine: Engine, requests: Iterable[Request]) -> Iterator[BatchEvent]:
    """Implement `stream_batch` for an engine that computes one answer at a time."""
    for number, request in enumerate(requests):
        try:
            for chunk in engine.stream(request):
                yield number, chunk
        except GeoChatError as error:
            yield number, error


def complete_all(events: Iterable[BatchEvent]) -> Iterator[tuple[int, Completion | GeoChatError]]:
    """Join the pieces of a batch: yield each request's number with its completion or error as soon as available.

    Raises:
        ValueError: A stream ended without a last chunk, which breaks the protocol.
    """
    written: dict[int, list[Chunk]] = {}
    for number, event in events:
        if isinstance(event, GeoChatError):
            written.pop(number, None)
            yield number, event
            continue
        written.setdefault(number, []).append(event)
        if event.finish is not None:
            yield number, complete(written.pop(number))
    for unfinished in written.values():
        complete(unfinished)
