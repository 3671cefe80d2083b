"""Answering a call: through the queue, then in a thread that reports what it writes as events.

A call that is cancelled, or whose client has gone, is computed no further than the next token. Its slot of the queue
and its image are given up when the thread has ended.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, replace
from typing import Any

from geochat.assistant import Answer, Conversation, Question
from geochat.assistant.notices import Notice
from geochat.assistant.regions import Numbering
from geochat.dialects import Event, Phrase, Region, Text
from geochat.engines import GenerationSettings
from geochat.exports import to_geojson
from geochat.imagery import GeoImage, Scene
from geochat.prompts import Task
from geochat_serve.answering import AnswerService, ShuttingDownError
from geochat_serve.api.calls import Call
from geochat_serve.api.responses import ApiEvent
from geochat_serve.api.schema import AskFields, ClassifyFields, DescribeFields, WindowFields
from geochat_serve.tasks import beside, drop_unused_regions
from geochat_serve.validation import clean, read_bands, read_question, read_regions


def question_of(fields: WindowFields) -> Question:
    """Return the question of a call, without its regions.

    Raises:
        GeoChatError: A value is impossible.
    """
    match fields:
        case AskFields():
            stop = tuple(clean(text) for text in fields.stop)
            generation = GenerationSettings(
                fields.max_new_tokens, fields.temperature, top_p=fields.top_p, seed=fields.seed, stop=stop
            )
            choices = tuple(clean(choice) for choice in fields.choices)
            text = read_question(fields.question)
            return Question(text, task=fields.task, choices=choices, raw=fields.raw, generation=generation)
        case ClassifyFields():
            return Question(read_question(", ".join(fields.classes)), task=Task.SCENE)
        case DescribeFields():
            return Question("", task=Task.CAPTION)
        case _:
            raise TypeError(fields)


async def answer_events(answers: AnswerService, call: Call[Any]) -> AsyncGenerator[ApiEvent, None]:
    """Answer a call; yields events, the answer last. Closing the generator ends the computation.

    Raises:
        GeoChatError: The question cannot be asked or answered, or the server is shutting down.
    """
    loop, events = asyncio.get_running_loop(), asyncio.Queue[ApiEvent | None]()

    def report(name: str, data: dict[str, Any]) -> None:
        loop.call_soon_threadsafe(events.put_nowait, (name, data))

    with call.removed_on_error():
        question = question_of(call.fields)
        ticket = answers.queue.join(f"api {call.client}", call.client)
    work: asyncio.Future[None] | None = None

    def leave(_work: object = None) -> None:
        ticket.leave()
        call.remove()
        events.put_nowait(None)

    with answers.metrics.time_answer("api") as set_outcome:
        try:
            async for ahead in ticket.positions():
                yield "queue", {"ahead": ahead}
            answers.require_open()
            work = loop.run_in_executor(answers.threads, _compute, answers, call, question, report)
            work.add_done_callback(leave)
            while (event := await events.get()) is not None:
                yield event
            if work.cancelled():  # it waited for a thread when the server was closed
                raise ShuttingDownError
            work.result()
            set_outcome("done")
        except (asyncio.CancelledError, GeneratorExit):
            set_outcome("stopped")
            raise
        finally:
            if work is None:
                leave()
            elif not work.done():
                answers.chat.cancel(question.id)


def _compute(
    answers: AnswerService, call: Call[Any], question: Question, report: Callable[[str, dict[str, Any]], None]
) -> None:
    """Answer in a thread; the last event reported is the answer."""
    fields: WindowFields = call.fields
    with answers.computing(question):
        view = _view(call)
        if isinstance(fields, AskFields):
            question = replace(question, regions=read_regions(fields.regions, view))
        conversation = answers.chat.start(view)
        asked, notices = drop_unused_regions(conversation, question)
        _write(conversation, asked, notices, report, lambda answer: _values(call, answer))


def _view(call: Call[Any]) -> GeoImage:
    """Read the view that a call asks about."""
    fields: WindowFields = call.fields
    bands = read_bands(fields.bands) if isinstance(fields.bands, str) else tuple(fields.bands)
    stretch: Any = fields.chosen_stretch()
    with Scene.open(call.path, name=call.name, page=fields.page) as scene:
        return scene.read(fields.window, bands=bands, stretch=stretch)


def _write(
    conversation: Conversation,
    question: Question,
    notices: tuple[Notice, ...],
    report: Callable[[str, dict[str, Any]], None],
    values: Callable[[Answer], dict[str, Any]],
) -> None:
    stream, numbering = conversation.stream(question), Numbering()
    unused = beside(notices, stream.notices)
    report("start", {"prompt": stream.prompt, "notices": [*unused, *(asdict(notice) for notice in stream.notices)]})
    for event in stream:
        if (shown := _event(event, numbering)) is not None:
            report(*shown)
    answer = values(stream.answer)
    report("answer", {**answer, "notices": [*unused, *answer["notices"]]})


def _event(event: Event, numbering: Numbering) -> ApiEvent | None:
    """Return what a client is shown of an event; None if nothing."""
    match event:
        case Text(text) if text:
            return "text", {"text": text}
        case Phrase():
            return "phrase", {"text": event.text}
        case Region():
            return "region", {"number": numbering.number(event), "phrase": event.phrase}
        case _:  # a mark that is not shown, or one that could not be read
            return None


def _values(call: Call[Any], answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON-ready values; the image has the client's name in place of a path."""
    values = answer.to_dict()
    values["image"] = {**values["image"], "path": call.name}
    if call.fields.geojson:
        provenance = {**answer.provenance, "image": call.name}
        values["geojson"] = to_geojson(answer.features, answer.crs, provenance)
    return values
