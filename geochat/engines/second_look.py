"""A second look at small objects: the question is repeated on the surroundings of the first answer's box.

At low resolution, a model detects small objects better than it localises them. The surroundings are a crop around the
box that keeps the relative position of the box's centre, so that an expression which selects the object in the whole
image also selects it in the crop: the leftmost object stays the leftmost.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine

from geochat.dialects import Dialect, Region
from geochat.engines.protocol import (
    BatchEvent,
    Chunk,
    Completion,
    Engine,
    Request,
    TokenScore,
    Usage,
    complete,
    complete_all,
)
from geochat.errors import GeoChatError
from geochat.geometry import Frame
from geochat.imagery import Window
from geochat.models import ModelInfo
from geochat.prompts import Task

SHARE = 0.6
"""Of each side of the image, in the surroundings."""

SMALL = 0.25
"""Of what the model sees, below which both extents of a box must lie to be looked at again."""

_AGREE = 0.1  # intersection over union of the two looks' boxes, below which the second saw something else
_TOGETHER = 32  # second looks computed together


class SecondLook:
    """An engine that answers `[refer]` with another engine and, if that finds one small object, takes a second look.

    The box of the second look replaces that of the first in its answer. The first answer is unchanged if the second
    look fails, is truncated, or does not find the object again. The second question is asked without conversation
    history. All tasks except `[refer]` pass through.

    Args:
        engine: The engine to use.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._asked: dict[str, _Asked] = {}  # by the question's id

    @property
    def info(self) -> ModelInfo:
        """The facts about the model, and what the engine can do."""
        return self.engine.info

    def cancel(self, request_id: str) -> None:
        """End the look in progress; a finished first answer stays. See `Engine`."""
        asked = self._asked.get(request_id)
        if asked is None:
            self.engine.cancel(request_id)
        else:
            asked.cancelled = True
            self.engine.cancel(asked.running)

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Stream an answer; answers that may get a second look are delivered complete. See `Engine`."""
        chunks = self.engine.stream(request)
        return self._settled(request, chunks) if self._locates(request) else chunks

    def generate(self, request: Request) -> Completion:
        """Return a complete answer."""
        return complete(self.stream(request))

    def stream_batch(self, requests: Iterable[Request]) -> Iterator[BatchEvent]:
        """Answer many requests as if each were alone; see `Engine`."""
        locating: dict[int, Request] = {}
        try:
            for number, event in self._looked(requests, locating):
                if number in locating:  # whole answers and errors only
                    del self._asked[locating.pop(number).id]
                yield number, event
        finally:
            for request in locating.values():
                del self._asked[request.id]

    def _looked(self, requests: Iterable[Request], locating: dict[int, Request]) -> Iterator[BatchEvent]:
        """Yield the events of a batch; `locating` collects the questions that may get a second look."""
        written: dict[int, list[Chunk]] = {}
        looks: list[_Look] = []

        def noted() -> Iterator[Request]:
            for number, request in enumerate(requests):
                if self._locates(request):
                    locating[number] = request
                    self._asked[request.id] = _Asked(request.id)
                yield request

        for number, event in self.engine.stream_batch(noted()):
            if number not in locating or isinstance(event, GeoChatError):
                yield number, event
                continue
            written.setdefault(number, []).append(event)
            if event.finish is None:
                continue
            first = complete(written.pop(number))
            if look := self._look(number, locating[number], first):
                looks.append(look)
            else:
                yield number, _whole(first)
            if len(looks) == _TOGETHER:
                yield from self._taken(looks)
                looks = []
        yield from self._taken(looks)

    def _settled(self, request: Request, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        self._asked[request.id] = _Asked(request.id)
        try:
            first = complete(chunks)
            look = self._look(0, request, first)
            if look is None:
                yield _whole(first)
                return
            for _, chunk in self._taken([look]):
                yield chunk
        finally:
            del self._asked[request.id]

    def _taken(self, looks: Sequence["_Look"]) -> Iterator[tuple[int, Chunk]]:
        """Compute second looks; yield each question's number and its answer."""
        wanted = []
        for look in looks:
            look.asked.running = look.request.id  # first, so that a cancellation meets one or the other
            if look.asked.cancelled:
                yield look.number, _whole(look.first)
            else:
                wanted.append(look)
        dialect = self.info.dialect
        for place, second in complete_all(self.engine.stream_batch(look.request for look in wanted)):
            look = wanted[place]
            yield look.number, _whole(look.first if isinstance(second, GeoChatError) else look.settle(second, dialect))

    def _locates(self, request: Request) -> bool:
        """Return whether a request asks for the location of an object described in words."""
        if len(request.images) != 1 or request.choices:
            return False
        dialect, question = self.info.dialect, request.messages[-1].text
        return dialect.task_of(question) is Task.REFER and not dialect.parse(question).regions

    def _look(self, number: int, request: Request, first: Completion) -> "_Look | None":
        """Return the second look that a first answer requires."""
        regions = self.info.dialect.parse(first.text).regions
        if first.finish != "stop" or len(regions) != 1:
            return None
        (region,) = regions
        (image,) = request.images
        if any(np.ptp(np.array(region.box.corners()), axis=0) > SMALL * np.array(self.info.frame.extent(image.size))):
            return None
        frame = Frame(image.size, model=self.info.frame)
        window = Window.whole(image.size).shrink_towards(frame.model_to_view @ region.box.center, SHARE)
        closer = frame.window(*window)
        asked = Request(request.messages[-1:], (image.crop(window.bounds),), request.generation)
        back = frame.between("image", "model") @ closer.between("model", "image")
        return _Look(number, self._asked[request.id], first, region, asked, back)


@dataclass(slots=True)
class _Asked:
    """A running question.

    Attributes:
        running: The id of the look that is being taken.
        cancelled: Whether the request was cancelled.
    """

    running: str
    cancelled: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class _Look:
    """A pending second look.

    Attributes:
        number: The question's place among those asked together.
        asked: The question.
        first: The first look's answer.
        region: Its one region.
        request: The question about the surroundings.
        back: Numbers of the model over the surroundings' square to those over the whole image's.
    """

    number: int
    asked: _Asked
    first: Completion
    region: Region
    request: Request
    back: Affine

    def settle(self, second: Completion, dialect: Dialect) -> Completion:
        """Return the first answer with the box of the second look, if that found the object again."""
        found = dialect.parse(second.text).regions
        if second.finish != "stop" or len(found) != 1:
            return self.first
        box = found[0].box.transform(self.back)
        if box.iou(self.region.box) < _AGREE:
            return self.first
        start, end = self.region.span
        written = dialect.rewrite(self.region, box)
        grown = len(written) - (end - start)
        tokens = [
            *(token for token in self.first.tokens if token.end <= start),
            *_laid(second.tokens, found[0].span, (start, start + len(written))),
            *(_moved(token, grown) for token in self.first.tokens if token.start >= end),
        ]
        usage = Usage(
            self.first.usage.prompt_tokens + second.usage.prompt_tokens,
            self.first.usage.completion_tokens + second.usage.completion_tokens,
        )
        text = self.first.text[:start] + written + self.first.text[end:]
        return Completion(text, self.first.finish, usage, tuple(tokens))


def _laid(tokens: Iterable[TokenScore], old: tuple[int, int], new: tuple[int, int]) -> Iterator[TokenScore]:
    """Yield the tokens that wrote a span, aligned with another."""
    for token in tokens:
        if old[0] < token.end and token.start < old[1]:
            first, last = np.interp((token.start, token.end), old, new).round().astype(int).tolist()
            yield TokenScore(first, last, token.logprob)


def _moved(token: TokenScore, by: int) -> TokenScore:
    return replace(token, start=token.start + by, end=token.end + by)


def _whole(completion: Completion) -> Chunk:
    return Chunk(completion.text, completion.finish, completion.usage, completion.tokens)
