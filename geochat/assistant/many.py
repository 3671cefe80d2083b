"""Many questions, answered several at a time."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from geochat.assistant.answer import Answer
from geochat.assistant.asking import RegionFrame, RegionLike
from geochat.assistant.conversation import Conversation, Prepared
from geochat.engines import Engine, GenerationSettings, Request, complete_all
from geochat.errors import GeoChatError
from geochat.prompts import Task


@dataclass(frozen=True, eq=False, slots=True)
class Question:
    """One of many questions, where words alone do not say it all.

    Attributes:
        text: What is asked; may open with a task token.
        regions: What it is about, as in `GeoChat.ask`.
        region_frame: What bare numbers and shapes of `regions` are given in.
        task: None takes that of the call, or the text's token.
        generation: None takes that of the call.
        cancel: Once set, this question is computed no further; others are.
    """

    text: str
    regions: RegionLike | Iterable[RegionLike] = ()
    region_frame: RegionFrame = "pixels"
    task: Task | None = None
    generation: GenerationSettings | None = None
    cancel: threading.Event | None = None

    def prepare(self, conversation: Conversation, task: Task | None, generation: GenerationSettings | None) -> Prepared:
        """The question asked about the conversation's image, with no regard to what was said of it before."""
        return conversation.prepare(
            self.text,
            regions=self.regions,
            region_frame=self.region_frame,
            task=self.task or task,
            generation=self.generation or generation,
            alone=True,
        )


def answer_each(
    engine: Engine,
    asked: Iterable[tuple[Conversation | GeoChatError, str | Question]],
    task: Task | None,
    generation: GenerationSettings | None,
) -> Iterator[tuple[int, Answer | GeoChatError]]:
    """Each question's number and its answer, or the error that kept it from one, as soon as that is there.

    Args:
        engine: What answers.
        asked: The view each question is about, or why there is none. Taken a few at a time.
        task: For questions that have none of their own.
        generation: For questions that have none of their own.
    """
    numbers: list[int] = []  # of the questions that reach the engine
    pending: dict[int, Prepared] = {}
    failed: deque[tuple[int, GeoChatError]] = deque()
    cancels: list[threading.Event | None] = []

    def requests() -> Iterator[Request]:
        for number, (conversation, words) in enumerate(asked):
            question = Question(words) if isinstance(words, str) else words
            try:
                if isinstance(conversation, GeoChatError):
                    raise conversation
                prepared = question.prepare(conversation, task, generation)
            except GeoChatError as error:
                failed.append((number, error))
                continue
            pending[len(numbers)] = prepared
            numbers.append(number)
            cancels.append(question.cancel)
            yield prepared.request

    for place, result in complete_all(engine.stream_batch(requests(), cancels)):
        while failed:
            yield failed.popleft()
        prepared = pending.pop(place)
        yield numbers[place], result if isinstance(result, GeoChatError) else prepared.read(result)
    yield from failed
