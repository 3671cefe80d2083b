"""Many questions, answered several at a time."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count

from geochat.assistant.answer import Answer
from geochat.assistant.conversation import Conversation, Prepared
from geochat.assistant.question import Question, QuestionOptions
from geochat.engines import Engine, Request, complete_all
from geochat.errors import GeoChatError


def answer_each(
    engine: Engine,
    asked: Iterable[tuple[Conversation | GeoChatError, str | Question]],
    options: QuestionOptions,
) -> Iterator[tuple[int, Answer | GeoChatError]]:
    """Yield each question's number with its answer or its error, as soon as it is available.

    Args:
        engine: The engine to use.
        asked: The view each question is about, or why there is none. Taken a few at a time.
        options: Default options of questions without their own.
    """
    pending: dict[int, tuple[int, Prepared]] = {}  # by the request: the question's number
    sent = count()
    settled: deque[tuple[int, Answer | GeoChatError]] = deque()  # without the engine

    def requests() -> Iterator[Request]:
        for number, (conversation, words) in enumerate(asked):
            try:
                if isinstance(conversation, GeoChatError):
                    raise conversation
                prepared = conversation.prepare(Question.of(words, options), alone=True)
            except GeoChatError as error:
                settled.append((number, error))
                continue
            if prepared.request is None:
                settled.append((number, prepared.read(prepared.replied())))
                continue
            pending[next(sent)] = number, prepared
            yield prepared.request

    for place, result in complete_all(engine.stream_batch(requests())):
        while settled:
            yield settled.popleft()
        number, prepared = pending.pop(place)
        yield number, result if isinstance(result, GeoChatError) else prepared.read(result)
    yield from settled
