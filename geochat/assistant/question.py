"""Questions and their options."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from geochat.assistant.region_input import RegionFrame, RegionLike
from geochat.engines import GenerationSettings
from geochat.imagery import BandChoice, Stretch
from geochat.imagery.stretch import Method
from geochat.prompts import Task, read_task


class QuestionOptions(TypedDict, total=False):
    """Options of a question besides its words; see `Question`."""

    regions: RegionLike | Iterable[RegionLike]
    region_frame: RegionFrame
    task: Task | str | None
    choices: Sequence[str]
    raw: bool
    generation: GenerationSettings | None


class ViewOptions(TypedDict, total=False):
    """Options of a view.

    Attributes:
        window: The part to read, (column, row, width, height) in pixels of the whole image.
        bands: Bands shown as red, green and blue.
        stretch: Mapping of band values to brightness.
    """

    window: Sequence[int] | None
    bands: BandChoice
    stretch: Stretch | Method


class AskOptions(QuestionOptions, ViewOptions, total=False):
    """All options of one question about one image."""


@dataclass(frozen=True, eq=False)
class Question:
    """A question with its options.

    Attributes:
        text: Text of the question; may start with a task token such as `[grounding]`.
        regions: Regions: boxes (x1, y1, x2, y2[, θ]) or shapes in pixels of the whole image, or GeoJSON.
        region_frame: "geographic" reads bare numbers and shapes of `regions` as WGS 84 longitude and latitude.
        task: The kind of question, by its name or as a `Task`; None goes by the text.
        choices: A closed set of answers, one of which is given.
        raw: Whether the words go to the model unchanged, even if it knows only trained wordings.
        generation: Generation settings; None is greedy, with at most 512 tokens.
        id: By which it is cancelled (`GeoChat.cancel`).

    Raises:
        PromptError: There is no such task.
    """

    text: str
    regions: RegionLike | Iterable[RegionLike] = ()
    region_frame: RegionFrame = "pixels"
    task: Task | str | None = None
    choices: Sequence[str] = ()
    raw: bool = False
    generation: GenerationSettings | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", read_task(self.task))

    @classmethod
    def of(cls, question: "str | Question", options: QuestionOptions) -> "Question":
        """Make a question from words and options; for a question, the options fill in those that it leaves unset."""
        if isinstance(question, str):
            return cls(question, **options)
        unset: dict[str, Any] = {name: value for name, value in options.items() if not _is_set(question, name)}
        return replace(question, **unset) if unset else question


def _is_set(question: Question, name: str) -> bool:
    """Return whether a question sets this option itself."""
    value: object = getattr(question, name)
    return not (value is None or value is False or value == "pixels" or (isinstance(value, tuple) and not value))
