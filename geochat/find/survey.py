"""Survey: the same questions about every window of a scene, with the answers as a layer of one polygon per window."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from geochat.assistant import Answer, Question
from geochat.engines import Engine
from geochat.errors import PromptError
from geochat.exports import Feature, Layer, write_layer
from geochat.find.asking import Asking, JobOptions, Progress, options_of
from geochat.find.looking import Look, LookOptions
from geochat.imagery import Scene, Window
from geochat.models import ModelInfo
from geochat.prompts import Task

_LONGEST = 40  # characters of a column's name


def survey_look(scene: Scene, info: ModelInfo, options: Mapping[str, Any]) -> Look:
    """The windows of a survey, which do not overlap unless they are told to.

    Args:
        scene: The scene, open.
        info: The model.
        options: Of `SurveyOptions`, those of `LookOptions` are used.

    Raises:
        GeoChatError: As `Look`.
    """
    return Look(scene, info, **{"overlap": 0.0, **options_of(LookOptions, options)})


class SurveyOptions(LookOptions, JobOptions, total=False):
    """Options of a survey; see also `LookOptions`, whose `overlap` is 0 here, and `JobOptions`.

    Attributes:
        on_progress: Called after each window.
    """

    on_progress: Callable[[Progress], object] | None


@dataclass(frozen=True, slots=True)
class WindowAnswers:
    """Answers about a window.

    Attributes:
        window: The window.
        values: By column: texts, and probabilities of classes chosen; None where the model gave neither.
    """

    window: Window
    values: Mapping[str, str | float | None]


class Survey:
    """Questions about every window. Iterating computes; results are recorded in the job's folder.

    Args:
        engine: The engine to use.
        scene: The scene, open.
        questions: By the name of the column in which answers stand; see `survey_questions`.
        options: See `SurveyOptions`.

    Raises:
        PromptError: There is no question, or one is outside what the model knows.
        SettingsError: An option is impossible, or the job's folder holds another job.
        RegionError: The area cannot be read, or is not on the scene.
        ImageError: The scene cannot be read.
        DataError: The job's folder cannot be written.

    Attributes:
        look: The scene and the windows.
        asking: The questions, and the job in which answers are recorded.
        columns: Names of the columns, with their types.
        progress: Progress.
    """

    def __init__(
        self, engine: Engine, scene: Scene, questions: Mapping[str, Question], **options: Unpack[SurveyOptions]
    ) -> None:
        if not questions:
            raise PromptError("there is nothing to ask; give a question")
        self._tell = options.get("on_progress")
        self.look = survey_look(scene, engine.info, options)
        self._names = tuple(questions)
        self.columns: dict[str, type] = {}
        for name, question in questions.items():
            self.columns[name] = str
            if question.task is Task.SCENE:
                self.columns[f"{name}_probability"] = float
        settings = {"kind": "survey", "columns": list(questions)}
        self.asking = Asking(
            engine, self.look, list(questions.values()), _record, settings, **options_of(JobOptions, options)
        )
        self.progress = self.asking.progress()

    def __iter__(self) -> Iterator[WindowAnswers]:
        """Compute, and yield the answers window by window from the top of the scene down."""
        with closing(self.asking.run()) as work:
            yield from self._answers(work)

    @property
    def complete(self) -> bool:
        """Return whether all windows are recorded, by any process."""
        return self.asking.job.complete

    def answers(self) -> Iterator[WindowAnswers]:
        """The answers recorded so far."""
        return self._answers(None)

    def not_looked_at(self) -> Iterator[Feature]:
        """The windows with missing or incomplete results, with the reason."""
        return self.asking.not_looked_at()

    def features(self) -> Iterator[Feature]:
        """The windows with the answers recorded so far, as rows of `layer`."""
        return (self.look.feature(each.window, each.values) for each in self.answers())

    @property
    def layer(self) -> Layer:
        """Header of the layer: the properties that its windows share."""
        provenance = self.asking.provenance()
        return Layer(self.look.place, self.columns, provenance, self.look.name, "windows", view=self.look.overview)

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write a layer of the windows with the answers recorded so far.

        Args:
            path: Its suffix chooses the format; see `geochat.exports.write_layer`.
            format: A name of `geochat.exports.EXPORTERS`, in place of the suffix.

        Raises:
            ExportError: It cannot be written.
        """
        return write_layer(path, self.layer, self.features(), format=format, not_looked_at=self.not_looked_at())

    def _answers(self, work: Iterator[None] | None) -> Iterator[WindowAnswers]:
        for _, entries in self.asking.rows(work, self._advanced):
            for number, entry in entries.items():
                if "answers" in entry:
                    yield WindowAnswers(self.look.plan.window(number), self._values(entry["answers"]))

    def _advanced(self) -> None:
        self.progress = self.asking.progress()
        if self._tell is not None:
            self._tell(self.progress)

    def _values(self, answers: Sequence[Mapping[str, Any]]) -> dict[str, str | float | None]:
        values: dict[str, str | float | None] = {}
        for name, answer in zip(self._names, answers, strict=True):
            values[name] = answer.get("text") or None
            if f"{name}_probability" in self.columns:
                values[f"{name}_probability"] = answer.get("probability")
        return values


def survey_questions(asks: Sequence[str], classes: Sequence[str] = (), *, caption: bool = True) -> dict[str, Question]:
    """Return questions for a survey by the names of their columns.

    Args:
        asks: Questions of the user's own; a column is named after its question.
        classes: Scene classes of which each window gets one; none asks for no class.
        caption: Whether each window is described.
    """
    questions = {"caption": Question("", task=Task.CAPTION)} if caption else {}
    if classes:
        questions["scene"] = Question(", ".join(classes), task=Task.SCENE)
    for ask in asks:
        name = column_name(ask)
        while name in questions:
            name += "_"
        questions[name] = Question(ask)
    return questions


def column_name(words: str) -> str:
    """Make a column name from words: "How many ships?" gives "how_many_ships"."""
    return re.sub(r"\W+", "_", words.lower()).strip("_")[:_LONGEST].strip("_") or "answer"


def _record(answer: Answer) -> dict[str, Any]:
    """Return the record of an answer."""
    record: dict[str, Any] = {"text": answer.plain_text}
    chosen = [score.probability for score in answer.completion.choices if score.text == answer.choice]
    if chosen:
        record["probability"] = round(chosen[0], 6)
    if answer.finish != "stop":
        record["finish"] = answer.finish
    return record
