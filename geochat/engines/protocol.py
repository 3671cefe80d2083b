"""What every engine is given and gives back.

Nothing here knows token ids: an engine in another process, behind HTTP, speaks the same protocol.
"""

import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from geochat.errors import GeoChatError, SettingsError

if TYPE_CHECKING:
    from PIL import Image

    from geochat.checkpoints import Settings
    from geochat.prompts import Message

Finish = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How an answer is written.

    Attributes:
        max_new_tokens: The answer budget; it counts towards the context.
        temperature: 0 takes the likeliest token each time; above, tokens are drawn, the flatter the higher.
        top_p: Draw only among the likeliest tokens that together hold this probability. Needs a temperature.
        seed: Makes drawing repeatable; None draws anew each time.
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
        image: What the first user turn shows, RGB, before letterboxing (the engine's processor does that);
            None asks about no image.
        generation: How to answer.
    """

    messages: "tuple[Message, ...]"
    image: "Image.Image | None" = None
    generation: GenerationSettings = field(default_factory=GenerationSettings)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read, image placeholders included, and tokens generated, the end token included."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class TokenScore:
    """What one generated token added to the text, and how likely it was.

    Attributes:
        start: Where its characters begin in the completion's text.
        end: Where they end; equal to `start` for the end token and for the first bytes of a character.
        logprob: Natural logarithm of its probability at temperature 1.
    """

    start: int
    end: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the answer; the last one, which may be empty, has `finish`, `usage` and `tokens` set."""

    text: str
    finish: Finish | None = None
    usage: Usage | None = None
    tokens: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer: the chunks' text joined, with the last chunk's accounts."""

    text: str
    finish: Finish
    usage: Usage
    tokens: tuple[TokenScore, ...] = ()


BatchEvent = tuple[int, Chunk | GeoChatError]
"""Which of several requests, and a piece of its answer or the error that ended it."""


class Engine(Protocol):
    """Writes answers.

    Attributes:
        name: What answers and exports call the model.
        sha256: Hash of the weights, None where the engine cannot know it.
        settings: The checkpoint's settings: angle convention, fit, tasks.
        image_size: Side of the square the model sees, in pixels.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str | None: ...  # noqa: D102

    @property
    def settings(self) -> "Settings": ...  # noqa: D102

    @property
    def image_size(self) -> int: ...  # noqa: D102

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Chunk]:
        """Answer piece by piece; setting `cancel` ends the computation before the next token."""
        ...

    def generate(self, request: Request) -> Completion:
        """Answer at once."""
        ...

    def stream_batch(
        self, requests: Iterable[Request], cancels: Sequence[threading.Event | None] = ()
    ) -> Iterator[BatchEvent]:
        """Answer many requests, each as if it were alone, in any order; the pieces of one answer keep theirs.

        Args:
            requests: Taken a few at a time.
            cancels: Each request's own event, as `cancel` of `stream`; may grow as requests are taken.

        Yields:
            A request's number, and the next piece of its answer or the error that ended it.
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
            return Completion("".join(texts), chunk.finish, chunk.usage, chunk.tokens)
    raise ValueError("the engine's stream ended without saying how; its last chunk must have finish and usage")


def one_by_one(
    engine: Engine, requests: Iterable[Request], cancels: Sequence[threading.Event | None] = ()
) -> Iterator[BatchEvent]:
    """`stream_batch` for an engine that computes one answer at a time."""
    for number, request in enumerate(requests):
        try:
            for chunk in engine.stream(request, cancels[number] if number < len(cancels) else None):
                yield number, chunk
        except GeoChatError as error:
            yield number, error


def complete_all(events: Iterable[BatchEvent]) -> Iterator[tuple[int, Completion | GeoChatError]]:
    """Join a batch's pieces: each request's number with its completion or error, as soon as that is there.

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
