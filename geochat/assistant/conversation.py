"""A conversation about one image, and an answer as it is being written."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from PIL import Image

from geochat.assistant.answer import Answer
from geochat.assistant.asking import RegionFrame, RegionLike, model_boxes
from geochat.engines import Chunk, Completion, Engine, GenerationSettings, Request, Usage
from geochat.imagery import GeoImage
from geochat.prompts import Message, Task, compose
from geochat.regions import AngleConvention, Event, StreamingParser


class AnswerStream:
    """Events of an answer, each as soon as it is certain; once they are through, `answer` holds the whole.

    Leaving the loop early ends the computation too, and leaves no trace in the conversation.

    Attributes:
        prompt: The question as the model reads it, with task token and regions.
    """

    def __init__(
        self,
        prompt: str,
        chunks: Iterator[Chunk],
        convention: AngleConvention,
        *,
        finish: Callable[[Completion], Answer],
        cancel: threading.Event,
    ) -> None:
        self.prompt = prompt
        self._events = self._read(chunks, convention)
        self._finish = finish
        self._cancel = cancel
        self._answer: Answer | None = None

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def cancel(self) -> None:
        """Stop computing; may be called from another thread. The answer keeps what was written so far."""
        self._cancel.set()

    @property
    def answer(self) -> Answer:
        """The whole answer.

        Raises:
            RuntimeError: The events have not been read to the end.
        """
        if self._answer is None:
            raise RuntimeError("the answer is still being written; read the events to the end, or call wait()")
        return self._answer

    def wait(self) -> Answer:
        """Read the remaining events and give the whole answer."""
        for _ in self._events:
            pass
        return self.answer

    def _read(self, chunks: Iterator[Chunk], convention: AngleConvention) -> Iterator[Event]:
        parser = StreamingParser(convention)
        texts: list[str] = []
        for chunk in chunks:
            texts.append(chunk.text)
            yield from parser.feed(chunk.text)
            if chunk.finish is not None and chunk.usage is not None:
                yield from parser.close()
                completion = Completion("".join(texts), chunk.finish, chunk.usage, chunk.tokens)
                self._answer = self._finish(completion)


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A question ready for an engine.

    Attributes:
        prompt: The question as the model reads it.
        request: What to give the engine.
        read: Makes the engine's completion the answer.
    """

    prompt: str
    request: Request
    read: Callable[[Completion], Answer]


class Conversation:
    """Questions about one view of an image, each answered with the earlier ones in mind.

    Attributes:
        image: The view that is asked about.
    """

    def __init__(self, engine: Engine, image: GeoImage) -> None:
        self._engine = engine
        self.image = image
        self._history: list[Answer] = []

    @property
    def history(self) -> tuple[Answer, ...]:
        """Every answer so far, oldest first."""
        return tuple(self._history)

    def take_back(self, answer: Answer) -> None:
        """Forget an answer, and what was asked, as if neither had been said; one that is not part of it is none."""
        self._history = [kept for kept in self._history if kept is not answer]

    def remember(self, question: str, prompt: str, text: str) -> Answer:
        """Take up a turn of an earlier conversation, as a saved one holds it, without computing anything.

        Args:
            question: What was asked.
            prompt: The question as the model read it.
            text: What the model wrote.

        Returns:
            The answer, read and placed anew; its tokens are not known and its regions have no score.

        Raises:
            PromptError: The texts hold what the model reserves.
        """
        Request((Message("user", prompt), Message("assistant", text)))  # refuses what could not be said again
        completion = Completion(text, "stop", Usage(0, 0))
        answer = Answer.read(
            completion, question=question, prompt=prompt, image=self.image, engine=self._engine, seconds=0.0
        )
        self._history.append(answer)
        return answer

    def ask(
        self,
        question: str,
        *,
        regions: RegionLike | Iterable[RegionLike] = (),
        region_frame: RegionFrame = "pixels",
        task: Task | None = None,
        generation: GenerationSettings | None = None,
    ) -> Answer:
        """Ask and wait; see `stream`."""
        stream = self.stream(question, regions=regions, region_frame=region_frame, task=task, generation=generation)
        return stream.wait()

    def stream(
        self,
        question: str,
        *,
        regions: RegionLike | Iterable[RegionLike] = (),
        region_frame: RegionFrame = "pixels",
        task: Task | None = None,
        generation: GenerationSettings | None = None,
    ) -> AnswerStream:
        """Ask; events come as the answer is written.

        Args:
            question: What is asked; may open with a task token such as `[grounding]`.
            regions: What the question is about: boxes (x1, y1, x2, y2[, θ]) or shapes in pixels of the whole image,
                or GeoJSON.
            region_frame: "geographic" reads bare numbers and shapes as WGS 84 longitude and latitude.
            task: None takes it from the question's token.
            generation: How to answer; None is greedy, 512 tokens at most.

        Raises:
            RegionError: A region is malformed, has no area or lies outside the view.
            PromptError: The question is empty or contradicts its task.
            ContextLengthError: The conversation has become too long for the model.
        """
        prepared = self.prepare(question, regions=regions, region_frame=region_frame, task=task, generation=generation)
        cancel = threading.Event()
        return AnswerStream(
            prepared.prompt,
            self._engine.stream(prepared.request, cancel),
            self._engine.settings.convention,
            finish=prepared.read,
            cancel=cancel,
        )

    def prepare(
        self,
        question: str,
        *,
        regions: RegionLike | Iterable[RegionLike] = (),
        region_frame: RegionFrame = "pixels",
        task: Task | None = None,
        generation: GenerationSettings | None = None,
        alone: bool = False,
    ) -> Prepared:
        """A question for an engine to answer later; arguments and errors as in `stream`.

        Args:
            question: What is asked.
            regions: What it is about.
            region_frame: What bare numbers and shapes are given in.
            task: The kind of question.
            generation: How to answer.
            alone: Asked without the conversation so far, of which it does not become a part.
        """
        started = time.perf_counter()
        convention = self._engine.settings.convention
        prompt = compose(question, task, model_boxes(regions, self.image.frame, region_frame), convention=convention)
        earlier = () if alone else tuple(self._earlier())
        request = Request((*earlier, Message("user", prompt)), self._view, generation or GenerationSettings())

        def read(completion: Completion) -> Answer:
            answer = Answer.read(
                completion,
                question=question,
                prompt=prompt,
                image=self.image,
                engine=self._engine,
                seconds=time.perf_counter() - started,
            )
            if not alone:
                self._history.append(answer)
            return answer

        return Prepared(prompt, request, read)

    @cached_property
    def _view(self) -> Image.Image:
        return self.image.pil()

    def _earlier(self) -> Iterator[Message]:
        for answer in self._history:
            if answer.text:  # a turn without words is not one the model was trained on
                yield Message("user", answer.prompt)
                yield Message("assistant", answer.text)
