"""Conversations about one image, and streamed answers."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Unpack

from geochat.assistant.answer import Answer
from geochat.assistant.choosing import as_offered
from geochat.assistant.closer import closer_view
from geochat.assistant.interpretation import Interpretation, interpret
from geochat.assistant.notices import Notice, view_notices
from geochat.assistant.question import Question, QuestionOptions
from geochat.assistant.region_input import RegionLike, pixel_boxes
from geochat.dialects import Dialect, Event
from geochat.engines import Chunk, Completion, Engine, GenerationSettings, Request, Usage, complete
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage
from geochat.models import ModelInfo
from geochat.prompts import Message, Task
from geochat.streamed import Streamed


class AnswerStream(Streamed[Event, Answer]):
    """Events of an answer, each as soon as it is certain; after the last, `answer` holds the whole answer.

    Leaving the loop early also ends the computation, and adds nothing to the conversation.

    Attributes:
        prompt: The question as the model reads it, with task token and regions.
        notices: Notices known before the first word.
        image: The view of the question.
    """

    def __init__(
        self,
        prepared: "Prepared",
        chunks: Iterator[Chunk],
        dialect: Dialect,
        cancel: Callable[[], None],
    ) -> None:
        super().__init__(_events(prepared, chunks, dialect))
        self.prompt = prepared.interpretation.prompt
        self.notices = prepared.notices
        self.image = prepared.image
        self._cancel = cancel

    def cancel(self) -> None:
        """Stop the computation; may be called from another thread. The answer keeps the text generated so far."""
        self._cancel()


def _events(prepared: "Prepared", chunks: Iterator[Chunk], dialect: Dialect) -> Generator[Event, None, Answer | None]:
    reader = dialect.reader()
    texts: list[str] = []
    answer = None
    for chunk in chunks:
        texts.append(chunk.text)
        yield from reader.feed(chunk.text)
        if chunk.finish is not None and chunk.usage is not None:
            yield from reader.close()
            answer = prepared.read(complete([replace(chunk, text="".join(texts))]))
    return answer


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A question that is ready for an engine.

    Attributes:
        interpretation: Interpretation of the question.
        request: Request to the engine; None if it is answered without one.
        image: The view of the question, which may be closer than the conversation's.
        notices: Notices known before the answer.
        read: Converts the engine's completion to the answer.
    """

    interpretation: Interpretation
    request: Request | None
    image: GeoImage
    notices: tuple[Notice, ...]
    read: Callable[[Completion], Answer]

    @property
    def prompt(self) -> str:
        """The question as the model reads it."""
        return self.interpretation.prompt

    def adapted(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Translate an engine's chunks into the names the user offered."""
        for chunk in chunks:
            yield as_offered(chunk, self.interpretation)

    def replied(self) -> Completion:
        """Return the answer to a question that is answered without an engine."""
        return Completion(self.interpretation.reply or "", "stop", Usage(0, 0))


class Conversation:
    """Questions about one view of an image, each with the earlier turns as context.

    Args:
        engine: The engine to use.
        image: The view.

    Attributes:
        image: The view, with the frame of the engine's model.
    """

    def __init__(self, engine: Engine, image: GeoImage) -> None:
        self._engine = engine
        self.image = replace(image, frame=replace(image.frame, model=engine.info.frame))
        self._history: list[Answer] = []

    @property
    def info(self) -> ModelInfo:
        """The model that answers."""
        return self._engine.info

    @property
    def history(self) -> tuple[Answer, ...]:
        """All answers so far, oldest first."""
        return tuple(self._history)

    @property
    def remembered(self) -> tuple[Answer, ...]:
        """The answers that the model sees with the next question about this view.

        These are the last answers of the model itself, as many as its settings allow (`earlier_turns`). An answer
        without words is omitted, because no model was trained on one.
        """
        taken = [a for a in self._history if a.text and a.interpretation.reply is None and a.image is self.image]
        most = self.info.settings.earlier_turns
        return tuple(taken if most is None else taken[len(taken) - min(most, len(taken)) :])

    def take_back(self, answer: Answer) -> None:
        """Remove an answer and its question from the history. Idempotent."""
        self._history = [kept for kept in self._history if kept is not answer]

    def remember(
        self, question: str, prompt: str, text: str, regions: RegionLike | Iterable[RegionLike] = ()
    ) -> Answer:
        """Add a turn of an earlier conversation, such as a saved one, without computing anything.

        Args:
            question: The question.
            prompt: The question as the model read it.
            text: The model's text.
            regions: Regions of the question, in pixels of the whole image.

        Returns:
            The answer, read and placed anew; its tokens are not known and its regions have no score.

        Raises:
            PromptError: The texts hold what the model reserves.
            RegionError: A region lies outside the view.
        """
        Request((Message("user", prompt), Message("assistant", text)))  # refuses what could not be said again
        boxes = tuple(pixel_boxes(regions, self.image.frame))
        answer = Answer.read(
            Completion(text, "stop", Usage(0, 0)),
            question=question,
            interpretation=Interpretation(self.info.dialect.task_of(prompt) or Task.CHAT, prompt),
            boxes=boxes,
            image=closer_view(self.image, boxes, self.info)[0] or self.image,
            info=self.info,
            seconds=0.0,
        )
        self._history.append(answer)
        return answer

    def ask(self, question: str | Question, **options: Unpack[QuestionOptions]) -> Answer:
        """Ask a question and wait for the answer; see `stream`."""
        return self.stream(question, **options).wait()

    def stream(self, question: str | Question, **options: Unpack[QuestionOptions]) -> AnswerStream:
        """Ask a question; events arrive while the answer is generated.

        Args:
            question: The question.
            options: Further options; see `Question`.

        Raises:
            RegionError: A region is malformed, has no area or lies outside the view.
            PromptError: The question is empty or contradicts its task.
            ContextLengthError: The conversation has become too long for the model.
        """
        prepared = self.prepare(Question.of(question, options))
        request = prepared.request
        if request is None:
            whole = prepared.replied()
            chunks = iter([Chunk(whole.text, whole.finish, whole.usage)])
            return AnswerStream(prepared, chunks, self.info.dialect, lambda: None)
        chunks = prepared.adapted(self._engine.stream(request))
        return AnswerStream(prepared, chunks, self.info.dialect, lambda: self._engine.cancel(request.id))

    def prepare(self, question: Question, *, alone: bool = False) -> Prepared:
        """Prepare a question for an engine to answer later; errors as in `stream`.

        Args:
            question: The question.
            alone: Whether it is asked without the conversation so far, of which it does not become a part.
        """
        started = time.perf_counter()
        info, image = self.info, self.image
        boxes = tuple(pixel_boxes(question.regions, image.frame, question.region_frame))
        closer, told = closer_view(image, boxes, info)
        image = closer or image
        previous = None if alone or not self._history else self._history[-1].interpretation.recognised
        understood = interpret(question, _in_model(boxes, image), info, previous)
        notices = tuple(_before(understood, image, info, told))

        def read(completion: Completion) -> Answer:
            answer = Answer.read(
                as_offered(completion, understood),
                question=question.text,
                interpretation=understood,
                boxes=boxes,
                image=image,
                info=info,
                seconds=time.perf_counter() - started,
                notices=notices,
            )
            if not alone:
                self._history.append(answer)
            return answer

        if understood.reply is not None:
            return Prepared(understood, None, image, notices, read)
        earlier = () if alone or closer else tuple(self._earlier())
        system = info.dialect.wordings.system.get(understood.task)
        opening = () if system is None else (Message("system", system),)
        request = Request(
            (*opening, *earlier, Message("user", understood.prompt)),
            (image.pil(),),
            question.generation or GenerationSettings(),
            understood.scored if info.capabilities.choices else (),
            question.id,
        )
        return Prepared(understood, request, image, notices, read)

    def _earlier(self) -> Iterator[Message]:
        for answer in self.remembered:
            yield Message("user", answer.prompt)
            yield Message("assistant", answer.text)


def _in_model(boxes: Iterable[OrientedBox], image: GeoImage) -> list[OrientedBox]:
    to_model = image.frame.between("image", "model")
    return [box.transform(to_model) for box in boxes]


def _before(understood: Interpretation, image: GeoImage, info: ModelInfo, told: Iterable[Notice]) -> Iterator[Notice]:
    """Notices known before the question is answered."""
    if understood.note:
        yield Notice("understood", f"{understood.note[:1].upper()}{understood.note[1:]}.")
    yield from told
    if understood.reply is None:
        yield from view_notices(image, info)
