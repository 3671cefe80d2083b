"""Requests for one answer, with retries, in the event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from geochat.engines.handle import Cancellations
from geochat.engines.openai.answering import Answering
from geochat.engines.openai.connection import Connection
from geochat.engines.openai.questions import OPTIONS, scoring
from geochat.engines.openai.refusals import BrokenOffError, UnknownOptionError
from geochat.engines.openai.scoring import Scored, likeliest, scored_prompt
from geochat.engines.protocol import Chunk, Request, Usage
from geochat.errors import EngineError, GeoChatError
from geochat.models import ModelInfo

T = TypeVar("T")
Give = Callable[[Chunk | Exception], None]

_AFTERTHOUGHT = 5.0  # seconds that a server has, after the end of an answer, to tell its accounts


class Asking:
    """Requests answers. Other threads may change `cancelled`; everything else belongs to the event loop.

    Args:
        connection: The server.
        info: The facts about the model.
        refused: Options that the server is known to refuse; is added to.
    """

    def __init__(self, connection: Connection, info: ModelInfo, refused: set[str]) -> None:
        self.cancelled = Cancellations()
        self._connection = connection
        self._info = info
        self._refused = refused
        self._running: dict[asyncio.Task[Any], str] = {}  # with the id of the request, which others may have too

    def stop(self, request_id: str) -> None:
        """End a running request; a request not yet started checks its cancellation."""
        for task, running in self._running.items():
            if running == request_id:
                task.cancel()

    async def answer(self, request: Request, body: Mapping[str, Any], give: Give, *, whole: bool) -> None:
        """Request until there is an answer or a final error.

        Args:
            request: The request.
            body: The same, as the server is sent it.
            give: Receives the pieces; the last one has `finish` set, or is an error.
            whole: Whether to deliver the answer in one piece. A streamed answer cannot restart with other words.
        """
        task = asyncio.current_task()
        assert task is not None
        self._running[task] = request.id
        handing = _Handing(give, whole=whole)
        try:
            if request.id in self.cancelled:
                give(handing.cancelled())
            elif request.choices:
                give(await self._choose(request, body))
            else:
                give(handing.last(await self._asked(lambda: self._attempt(request, body, handing))))
        except asyncio.CancelledError:
            give(handing.cancelled())
        except Exception as error:  # raised where the answer is read
            give(error)
        finally:
            del self._running[task]

    async def _attempt(self, request: Request, body: Mapping[str, Any], handing: "_Handing") -> Chunk:
        answering = handing.answering = Answering(request, self._info)
        loop = asyncio.get_running_loop()
        try:
            async with (
                asyncio.timeout(None) as patience,
                aclosing(self._connection.events(self._known(body), OPTIONS)) as events,
            ):
                async for event in events:
                    answering.take(event)
                    handing.pass_on(answering.text)
                    if answering.ended_here:
                        break
                    if answering.finish is not None:
                        patience.reschedule(loop.time() + _AFTERTHOUGHT)
        except (BrokenOffError, TimeoutError):
            if answering.finish is None:
                raise
        if answering.finish is None:
            raise BrokenOffError(f"{self._connection.where} broke the answer off")
        return answering.last(answering.finish)

    async def _choose(self, request: Request, body: Mapping[str, Any]) -> Chunk:
        prompts = [scoring(body), *(scoring(body, choice) for choice in request.choices)]
        tasks = [asyncio.ensure_future(self._asked(partial(self._score, asked))) for asked in prompts]
        try:
            prompt, *turns = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return likeliest(request.choices, prompt, turns)

    async def _score(self, body: Mapping[str, Any]) -> Scored:
        return scored_prompt(await self._connection.completion(body))

    async def _asked(self, attempt: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await self._connection.retried(attempt)
            except UnknownOptionError as error:  # it is not in the next body
                self._refused.add(error.option)

    def _known(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body without options that the server refuses."""
        known = {name: value for name, value in body.items() if name not in self._refused}
        if "max_tokens" in self._refused:
            known["max_completion_tokens"] = body["max_tokens"]
        return known


class _Handing:
    """The part of an answer already delivered, over all attempts.

    Attributes:
        answering: The attempt under way, or the last one.
    """

    def __init__(self, give: Give, *, whole: bool) -> None:
        self.answering: Answering | None = None
        self._give = give
        self._whole = whole
        self._text = ""

    def pass_on(self, text: str) -> None:
        """Deliver the new part of the text so far."""
        if not self._whole and (new := self._new(text)):
            self._give(Chunk(new))

    def last(self, chunk: Chunk) -> Chunk:
        """Return the last chunk with the undelivered text.

        Raises:
            EngineError: What has been handed out is not what the answer begins with.
        """
        assert self.answering is not None
        text = self.answering.text
        new = self._new(text)
        if text != self._text:
            raise _differs(self._text)
        return replace(chunk, text=new)

    def cancelled(self) -> Chunk:
        """Return the last chunk of a cancelled answer, with the text so far."""
        if self.answering is None:
            return Chunk("", "cancelled", Usage(0, 0))
        chunk = self.answering.last("cancelled")
        try:
            return self.last(chunk)
        except GeoChatError:  # an attempt anew has not come as far as the one before
            return Chunk("", "cancelled", chunk.usage)

    def _new(self, text: str) -> str:
        shorter = min(len(text), len(self._text))
        if text[:shorter] != self._text[:shorter]:
            raise _differs(self._text)
        new = text[shorter:]
        self._text += new
        return new


def _differs(given: str) -> EngineError:
    return EngineError(
        f"the connection broke after {len(given)} characters of the answer, and asked again the server answers in "
        "other words; ask once more"
    )
