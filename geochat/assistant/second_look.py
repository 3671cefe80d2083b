"""A second look at what is small: the question again, about the surroundings of the first answer's box.

A model whose square has few pixels finds small objects better than it measures them. The surroundings are the image
shrunk towards the box's centre, which therefore keeps its relative place, so that an expression which selects the
object in the whole image selects it in them too: what lies left of everything, or at the top right, still does.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from affine import Affine

from geochat.checkpoints import Settings
from geochat.engines import BatchEvent, Chunk, Completion, Engine, Request, TokenScore, Usage, complete, complete_all
from geochat.errors import GeoChatError
from geochat.frames import Frame
from geochat.prompts import Task, task_of
from geochat.regions import OrientedBox, Region, format_box, parse

SHARE = 0.6
"""Of each side of the image, in the surroundings."""

SMALL = 25.0
"""Percent of the model's square below which both extents of a box must lie to be looked at again."""

_AGREE = 0.1  # intersection over union of the two looks' boxes, below which the second saw something else
_TOGETHER = 32  # second looks computed together


class SecondLook:
    """An engine that answers `[refer]` with another engine, in two looks where the first finds one small object.

    The box of the second look takes the place of the first's in its answer. The first stays as it is where the second
    fails, is cut short, or does not find the object again. The second is asked without what was said before. Everything
    but `[refer]` passes through.

    Args:
        engine: What answers.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def name(self) -> str:
        """What answers and exports call the model."""
        return self.engine.name

    @property
    def sha256(self) -> str | None:
        """Hash of the weights."""
        return self.engine.sha256

    @property
    def settings(self) -> Settings:
        """The checkpoint's GeoChat settings."""
        return self.engine.settings

    @property
    def image_size(self) -> int:
        """Side of the square the model sees, in pixels."""
        return self.engine.image_size

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Chunk]:
        """Answer piece by piece; what may be looked at twice comes whole. See `Engine`."""
        chunks = self.engine.stream(request, cancel)
        return self._settled(request, chunks, cancel) if _locates(request) else chunks

    def generate(self, request: Request) -> Completion:
        """Answer at once."""
        return complete(self.stream(request))

    def stream_batch(
        self, requests: Iterable[Request], cancels: Sequence[threading.Event | None] = ()
    ) -> Iterator[BatchEvent]:
        """Answer many requests, each as if it were alone; see `Engine`."""
        locating: dict[int, Request] = {}
        written: dict[int, list[Chunk]] = {}
        looks: list[tuple[int, _Look]] = []

        def noted() -> Iterator[Request]:
            for number, request in enumerate(requests):
                if _locates(request):
                    locating[number] = request
                yield request

        for number, event in self.engine.stream_batch(noted(), cancels):
            if number not in locating:
                yield number, event
            elif isinstance(event, GeoChatError):
                del locating[number]
                yield number, event
            else:
                written.setdefault(number, []).append(event)
                if event.finish is None:
                    continue
                first = complete(written.pop(number))
                if look := self._look(locating.pop(number), first):
                    looks.append((number, look))
                else:
                    yield number, _whole(first)
            if len(looks) == _TOGETHER:
                yield from self._taken(looks, cancels)
                looks = []
        yield from self._taken(looks, cancels)

    def _settled(self, request: Request, chunks: Iterator[Chunk], cancel: threading.Event | None) -> Iterator[Chunk]:
        first = complete(chunks)
        look = self._look(request, first)
        if look is None:
            yield _whole(first)
            return
        for _, chunk in self._taken([(0, look)], [cancel]):
            yield chunk

    def _taken(
        self, looks: Sequence[tuple[int, "_Look"]], cancels: Sequence[threading.Event | None]
    ) -> Iterator[tuple[int, Chunk]]:
        """Take second looks; each question's number and its answer."""
        own = [cancels[number] if number < len(cancels) else None for number, _ in looks]
        for place, second in complete_all(self.engine.stream_batch((look.request for _, look in looks), own)):
            number, look = looks[place]
            yield number, _whole(look.first if isinstance(second, GeoChatError) else look.settle(second, self.settings))

    def _look(self, request: Request, first: Completion) -> "_Look | None":
        """The second look that a first answer calls for."""
        regions = parse(first.text, self.settings.convention).regions
        if first.finish != "stop" or len(regions) != 1 or request.image is None:
            return None
        (region,) = regions
        corners = np.array(region.box.corners())
        if max(np.ptp(corners, axis=0)) > SMALL:
            return None
        frame = Frame(request.image.size, fit=self.settings.fit, model_size=self.image_size)
        closer = _closer(frame, region.box)
        column, row = map(round, closer.view_to_image @ (0, 0))
        width, height = closer.view_size
        part = request.image.crop((column, row, column + width, row + height))
        asked = Request(request.messages[-1:], part, request.generation)
        return _Look(first, region, asked, frame.between("image", "model") @ closer.between("model", "image"))


@dataclass(frozen=True, eq=False, slots=True)
class _Look:
    """A second look about to be taken.

    Attributes:
        first: The first look's answer.
        region: Its one region.
        request: The question about the surroundings.
        back: Percent of the surroundings' square to percent of the whole image's.
    """

    first: Completion
    region: Region
    request: Request
    back: Affine

    def settle(self, second: Completion, settings: Settings) -> Completion:
        """The first answer with the box of the second look, where that found the object again."""
        found = parse(second.text, settings.convention).regions
        if second.finish != "stop" or len(found) != 1:
            return self.first
        box = found[0].box.transform(self.back)
        if box.iou(self.region.box) < _AGREE:
            return self.first
        start, end = self.region.span
        written = format_box(box, settings.convention)
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


def _locates(request: Request) -> bool:
    """Whether a request asks for the place of something that words alone describe."""
    question = request.messages[-1].text
    return request.image is not None and task_of(question) is Task.REFER and not parse(question).regions


def _closer(frame: Frame, box: OrientedBox) -> Frame:
    """The frame of the view shrunk towards a box's centre."""
    (x, y), (width, height) = frame.between("model", "view") @ box.center, frame.view_size
    shown = max(1, round(SHARE * width)), max(1, round(SHARE * height))
    column, row = (
        round((full - part) * min(max(at / full, 0), 1))
        for at, full, part in zip((x, y), (width, height), shown, strict=True)
    )
    return frame.window(column, row, *shown)


def _laid(tokens: Iterable[TokenScore], old: tuple[int, int], new: tuple[int, int]) -> Iterator[TokenScore]:
    """The tokens that wrote a span, laid over another."""
    for token in tokens:
        if old[0] < token.end and token.start < old[1]:
            first, last = np.interp((token.start, token.end), old, new).round().astype(int).tolist()
            yield TokenScore(first, last, token.logprob)


def _moved(token: TokenScore, by: int) -> TokenScore:
    return replace(token, start=token.start + by, end=token.end + by)


def _whole(completion: Completion) -> Chunk:
    return Chunk(completion.text, completion.finish, completion.usage, completion.tokens)
