"""The work on every scene of an archive: plain data, which can be sent to other processes."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NoReturn, Unpack

from geochat.assistant import Question
from geochat.engines import Engine
from geochat.errors import EngineError
from geochat.find import Finding, JobOptions, Look, Survey
from geochat.find.finding import find_look
from geochat.find.survey import survey_look
from geochat.imagery import Scene
from geochat.models import ModelInfo

OpenEngine = Callable[[], Engine]
"""Opens the engine of a worker; to be pickled."""


@dataclass(frozen=True)
class SceneWork:
    """The questions or phrases for a scene, and their options.

    Attributes:
        kind: Whether things are found, or every window is described.
        asked: Phrases; or questions by the names of their columns.
        options: Fields of `FindOptions` or `SurveyOptions` without those of the job, to be pickled.
    """

    kind: Literal["find", "describe"]
    asked: Sequence[str] | Mapping[str, Question]
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self, engine: Engine, scene: Scene, **job: Unpack[JobOptions]) -> Finding | Survey:
        """Return the work on one scene, not started.

        Raises:
            GeoChatError: As `Finding` and `Survey`.
        """
        options: dict[str, Any] = {**self.options, **job}
        if isinstance(self.asked, Mapping):
            return Survey(engine, scene, self.asked, **options)
        return Finding(engine, scene, self.asked, **options)

    def look(self, info: ModelInfo, scene: Scene) -> Look:
        """The windows of one scene, as `open` has them.

        Raises:
            GeoChatError: As `Look`.
        """
        if isinstance(self.asked, Mapping):
            return survey_look(scene, info, self.options)
        return find_look(scene, info, self.options)

    def changed(self, **options: Any) -> "SceneWork":  # noqa: ANN401 - of any field of the options
        """Return this work with some options changed."""
        return replace(self, options={**self.options, **options})

    def to_dict(self) -> dict[str, Any]:
        """Identity of the work, JSON-ready."""
        asked = dict(self.asked) if isinstance(self.asked, Mapping) else list(self.asked)
        told = {"kind": self.kind, "asked": asked, "options": dict(self.options)}
        value: dict[str, Any] = json.loads(json.dumps(told, default=str))
        return value


class Absent:
    """An engine that holds only the facts about a model; others compute and record its answers.

    Args:
        info: The facts.
    """

    def __init__(self, info: ModelInfo) -> None:
        self.info = info

    def _refuse(self, *_: object) -> NoReturn:
        raise EngineError(f"{self.info.name} is not loaded in this process; ask a worker's")

    stream = generate = stream_batch = _refuse

    def cancel(self, request_id: str) -> None:
        """Do nothing, because nothing is computed here."""
