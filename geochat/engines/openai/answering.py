"""Conversion of one answer's server events to text."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from geochat.engines.openai.refusals import BrokenOffError
from geochat.engines.protocol import Chunk, Finish, Request, TokenScore, Usage
from geochat.engines.writing import RepetitionGuard, TextWriter
from geochat.errors import EngineError
from geochat.models import ModelInfo

_BROKEN = ("abort", "error")  # the server gave the answer up


class Answering:
    """Reads the events of one attempt at an answer.

    The conditions that end a local answer also end this one: a stop string, a repetition if the model's settings say
    so, the token limit. Then nothing more is read.

    Args:
        request: The request.
        info: The facts about the model.

    Attributes:
        text: The certain text so far.
        finish: Why the answer ends, None before it does.
        ended_here: Whether it was ended here and not by the server, which may continue.
    """

    def __init__(self, request: Request, info: ModelInfo) -> None:
        self.text = ""
        self.finish: Finish | None = None
        self.ended_here = False
        self._budget = request.generation.max_new_tokens
        guard = RepetitionGuard(info.dialect) if info.settings.repetition_guard else None
        self._writer = TextWriter(request.generation.stop, guard)
        self._tokens: dict[Any, int] = {}  # numbers for what the server calls its tokens
        self._count = 0
        self._scored = True
        self._usage: Usage | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Read an event.

        Raises:
            BrokenOffError: The server gave the answer up.
            EngineError: It withholds the answer, or is no such server.
        """
        try:
            self._take(event)
        except (TypeError, KeyError, AttributeError, ValueError, IndexError) as error:
            raise EngineError(f"the server's answer is not as OpenAI's ({type(error).__name__}: {error})") from error

    def _take(self, event: Mapping[str, Any]) -> None:
        if counted := event.get("usage"):
            self._usage = Usage(int(counted["prompt_tokens"]), int(counted.get("completion_tokens") or 0))
        if self.finish is not None or not event.get("choices"):
            return
        choice = event["choices"][0]
        said = choice.get("delta") or choice.get("message") or {}
        scores = (choice.get("logprobs") or {}).get("content") or []
        for token, text, logprob in _tokens(said.get("content") or "", scores):
            if self._count == self._budget:  # the server has none
                self.finish, self.ended_here = "length", True
            if self.ended_here:
                return
            self._add(token, text, logprob)
        if not self.ended_here and (reason := choice.get("finish_reason")) is not None:
            self._end(str(reason))

    def _add(self, token: object, text: str, logprob: float) -> None:
        self._count += 1
        self._scored &= not math.isnan(logprob)
        self.text += self._writer.add(self._tokens.setdefault(token, len(self._tokens)), text, logprob)
        if self._writer.stopped or self._writer.repeated:
            self.finish, self.ended_here = "stop" if self._writer.stopped else "repetition", True

    def _end(self, reason: str) -> None:
        if reason in _BROKEN:
            raise BrokenOffError("the server gave the answer up")
        if reason == "content_filter":
            raise EngineError("the server withholds the answer by its content filter; ask in other words")
        self.finish = "length" if reason == "length" else "stop"

    def last(self, finish: Finish) -> Chunk:
        """End the answer; returns the last chunk, with the text after `text`."""
        rest = self._writer.end()
        self.text += rest
        return Chunk(rest, finish, self.usage, self._scores())

    @property
    def usage(self) -> Usage:
        """Token counts of the server; without them, no prompt tokens and the number of generated ones that arrived."""
        counted = self._usage or Usage(0, 0)
        return Usage(counted.prompt_tokens, counted.completion_tokens or self._count)

    def _scores(self) -> tuple[TokenScore, ...]:
        return self._writer.scores if self._scored else ()


def _tokens(text: str, scores: Sequence[Mapping[str, Any]]) -> Iterator[tuple[object, str, float]]:
    """Yield the tokens of an event: a distinguishing value, the text each adds, and its log-probability or NaN."""
    if not scores:
        if text:
            yield text, text, math.nan
        return
    start = 0
    for number, score in enumerate(scores, 1):
        end = len(text) if number == len(scores) else min(len(text), start + len(score["token"]))
        yield tuple(score.get("bytes") or ()) or score["token"], text[start:end], float(score["logprob"])
        start = end
