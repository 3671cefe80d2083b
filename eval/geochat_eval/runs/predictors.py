"""Predictors answer questions: a model, or a file of answers.

Any object with a name and a method `predict` can be evaluated: a generative model, a classifier, a server. It receives
questions as a stream, grouped by image, and yields replies in any order.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from geochat.assistant.choosing import ChoiceMethod, choose
from geochat.dialects import Dialect
from geochat.engines import Completion, Engine, GenerationSettings, Request, complete_all
from geochat.errors import DataError, GeoChatError, ImageError
from geochat.imagery import open_image
from geochat.prompts import Message
from geochat_data.readers import Report
from geochat_eval.formats import FORMATS
from geochat_eval.json_objects import read_objects

_BATCH_ERRORS = (RuntimeError, ValueError, IndexError)  # what torch raises, out of memory among them


@dataclass(frozen=True, slots=True)
class Query:
    """One question for a predictor.

    Attributes:
        number: Its place among the questions.
        prompt: Prompt, with task token and regions.
        image: The file of its image, None where it is withheld.
        max_new_tokens: Maximum number of tokens of the answer.
        row: All fields of the question, with its truth, which models must not see.
    """

    number: int
    prompt: str
    image: Path | None
    max_new_tokens: int
    row: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer.

    Attributes:
        text: The answer; the matching choice, where the question offered choices and one matches.
        finish: "length" where the budget was spent.
        written: Text of the model, where it differs from `text`.
        choice_method: Method that matched the answer to the choices; None for a free answer.
        probabilities: Probability of each choice, where the engine scored them.
    """

    text: str
    finish: str = "stop"
    written: str | None = None
    choice_method: ChoiceMethod | None = None
    probabilities: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to the fields of a journal entry."""
        about = {"written": self.written, "choice_method": self.choice_method}
        told: dict[str, Any] = {name: value for name, value in about.items() if value is not None}
        if self.probabilities is not None:
            told["probabilities"] = {name: round(value, 6) for name, value in self.probabilities.items()}
        return {"answer": self.text, "finish": self.finish, **told}


class Predictor(Protocol):
    """Answers questions. A predictor with a `dialect` is used only in that dialect.

    Attributes:
        name: Name in reports.
        sha256: Hash of its weights or of its file, None where there is none.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str | None: ...  # noqa: D102

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """Yield each question's number with its answer or error, as soon as it is available.

        Args:
            questions: Taken a few at a time; there may be any number.
        """


class ChatPredictor:
    """Answers with an engine, greedily.

    Prompts are passed on unchanged. A question's choices are scored if the engine can; otherwise its text is matched to
    them by `geochat.assistant.choosing`. An image is opened once for all its questions, and the engine reads it once.
    If a batch fails as a whole, its questions are asked again one by one, so that only those at fault fail.

    Args:
        engine: The model.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._opened: tuple[Path, Image.Image | ImageError] | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self._engine.info.name

    @property
    def sha256(self) -> str | None:
        """Hash of the weights."""
        return self._engine.info.sha256

    @property
    def dialect(self) -> Dialect:
        """The model's dialect."""
        return self._engine.info.dialect

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """See `Predictor`."""
        source = iter(questions)
        while True:
            waiting: dict[int, Query] = {}
            try:
                yield from self._batch(source, waiting)
            except _BATCH_ERRORS:
                if not waiting:
                    raise
            if not waiting:
                return
            for asked in list(waiting.values()):
                yield from self._alone(asked)

    def _batch(
        self, source: Iterator[Query], waiting: dict[int, Query]
    ) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """Answer the questions of `source`; `waiting` holds those taken and not yet answered."""
        numbers: dict[int, int] = {}
        places = count()
        failed: list[tuple[int, GeoChatError]] = []

        def requests() -> Iterator[Request]:
            for asked in source:
                waiting[asked.number] = asked
                try:
                    request = self._request(asked)
                except GeoChatError as error:
                    failed.append((asked.number, error))
                    continue
                numbers[next(places)] = asked.number
                yield request

        for place, result in complete_all(self._engine.stream_batch(requests())):
            number = numbers.pop(place)
            asked = waiting.pop(number)
            yield number, result if isinstance(result, GeoChatError) else _reply(result, asked)
            while failed:
                number, error = failed.pop()
                del waiting[number]
                yield number, error
        for number, error in failed:
            del waiting[number]
            yield number, error

    def _alone(self, asked: Query) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        try:
            yield asked.number, _reply(self._engine.generate(self._request(asked)), asked)
        except GeoChatError as error:
            yield asked.number, error
        except _BATCH_ERRORS as error:
            yield asked.number, GeoChatError(f"{type(error).__name__}: {str(error)[:500]}")

    def _request(self, asked: Query) -> Request:
        images = () if asked.image is None else (self._image(asked.image),)
        choices = _choices(asked) if self._engine.info.capabilities.choices else ()
        generation = GenerationSettings(asked.max_new_tokens)
        return Request((Message("user", asked.prompt),), images, generation, choices)

    def _image(self, path: Path) -> Image.Image:
        if self._opened is None or self._opened[0] != path:
            try:
                self._opened = path, open_image(path).pil()
            except ImageError as error:
                self._opened = path, error
        image = self._opened[1]
        if isinstance(image, ImageError):
            raise image
        return image


def _choices(asked: Query) -> tuple[str, ...]:
    return tuple(asked.row.get("choices", ()))


def _reply(completion: Completion, asked: Query) -> Prediction:
    """Convert a completion to a prediction, matched to the question's choices if it has some."""
    choice, method = choose(completion.text, completion.choices, _choices(asked))
    text = completion.text if choice is None else choice
    return Prediction(
        text,
        completion.finish,
        completion.text if completion.text != text else None,
        method,
        {score.text: score.probability for score in completion.choices} or None,
    )


class FilePredictor:
    """Answers with the lines of a file, found by `question_id`: imports the answers of any other model.

    Args:
        path: One JSON object per line, or an array of objects. It is held in memory.
        format_name: A name of `FORMATS`.
        dialect: Dialect of the answers.

    Raises:
        DataError: The file cannot be read, holds no answer, or two to one question.
    """

    def __init__(self, path: Path, format_name: str = "geochat", *, dialect: Dialect) -> None:
        self.name = path.stem
        self.sha256: str | None = None
        self.dialect = dialect
        self._answers: dict[str, str] = {}
        report = Report()
        for where, row in read_objects(path, report):
            try:
                name, answer = str(row["question_id"]), FORMATS[format_name].read(row, dialect).text
            except (KeyError, ValueError) as error:
                report.skip(str(error), where)
                continue
            if self._answers.setdefault(name, answer) != answer:
                raise DataError(f"{where} answers question_id {name!r} again, with other words; keep one of the lines")
        if not self._answers:
            raise DataError(f"{path} holds no answer with a question_id: {report}")

    def predict(self, questions: Iterable[Query]) -> Iterator[tuple[int, Prediction | GeoChatError]]:
        """See `Predictor`."""
        for asked in questions:
            name = str(asked.row["question_id"])
            if name in self._answers:
                yield asked.number, Prediction(self._answers[name])
            else:
                yield asked.number, DataError("the file holds no answer to this question")
