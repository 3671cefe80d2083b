"""The GeoChat settings stored with the weights, in `geochat.json`.

Behaviour is chosen by this file and by the tensors, never by a checkpoint's name. The defaults are the published
GeoChat-7B's, which has no such file.
"""

import json
import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from geochat.dialects import Dialect, find_dialect
from geochat.errors import CheckpointError, SettingsError
from geochat.geometry import AngleConvention, Fit
from geochat.models.confidence import BoxConfidence
from geochat.models.objects import read_object
from geochat.prompts import Task

SETTINGS_FILE = "geochat.json"


@dataclass(frozen=True)
class Settings:
    """Settings of a checkpoint beyond its architecture.

    Attributes:
        name: Name of the model in answers and exports.
        dialect: Name of its dialect, as registered in `geochat.dialects`.
        convention: Direction and range of the angles it reads and writes; None for the dialect's.
        fit: Conversion of an image to the model's square; None for the dialect's.
        tasks: The tasks it was trained for.
        scene_classes: The scene classes it knows, empty when any may be asked.
        categories: The objects it knows by name, empty when any may be asked for.
        trained_wordings: Whether it understands only the wordings it was trained on. What people type is then
            recognised and put into these, and what is outside its scope is answered without asking it.
        counts: The largest number to which it was trained to count; a question about a number is then answered with the
            median of its probabilities, None with its words.
        repetition_guard: Whether an answer that repeats itself is ended.
        earlier_turns: Turns of a conversation it is asked with, None for as many as fit. A model that was not trained
            to converse answers worse with each of them.
        ground_resolution: Metres per pixel in training, (finest, coarsest), None if unknown.
        object_resolution: Metres per pixel at which it finds objects best, None if unknown.
        box_confidence: The probability that one of its boxes is right, None if that was not measured.
        second_look: Whether a second look is taken at small objects of `[refer]` questions.
        licence: The licence of the weights.
    """

    name: str = "geochat"
    dialect: str = "geochat"
    convention: AngleConvention | None = None
    fit: Fit | None = None
    tasks: tuple[Task, ...] = tuple(Task)
    scene_classes: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    trained_wordings: bool = False
    counts: int | None = None
    repetition_guard: bool = False
    earlier_turns: int | None = None
    ground_resolution: tuple[float, float] | None = None
    object_resolution: float | None = None
    box_confidence: BoxConfidence | None = None
    second_look: bool = False
    licence: str = "unstated"

    def dialect_for(self, image_size: int) -> Dialect:
        """Return the dialect with these settings' fit and angles.

        Args:
            image_size: Side of the square the model sees, in pixels.
        """
        return find_dialect(self.dialect).fitted(fit=self.fit, size=image_size, angles=self.convention)

    def in_dialect(self, name: str) -> "Settings":
        """Return the settings of a model that writes another dialect, in that dialect's own angles.

        The fit is kept if that dialect's numbers also lie over a square, because the image processor is still the
        model's.

        Raises:
            SettingsError: There is no such dialect.
        """
        if name == self.dialect:
            return self
        square = find_dialect(name).model_frame.fit in get_args(Fit)
        return replace(self, dialect=name, convention=None, fit=self.fit if square else None)

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Return settings from JSON values.

        Raises:
            CheckpointError: A key is unknown or a value impossible.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            known = ", ".join(f.name for f in fields(cls))
            raise CheckpointError(f"{SETTINGS_FILE} has unknown settings {unknown}; it may hold {known}")
        read = dict(values)
        try:
            for name in ("name", "dialect", "licence"):
                read[name] = _text(read.get(name, getattr(cls, name)))
            find_dialect(read["dialect"])
            for name in ("second_look", "trained_wordings", "repetition_guard"):
                read[name] = _flag(name, read.get(name, getattr(cls, name)))
            if read.get("convention") is not None:
                read["convention"] = AngleConvention(**read["convention"])
            for name in ("earlier_turns", "counts"):
                read[name] = _count(name, read.get(name))
            if "tasks" in read:
                read["tasks"] = tuple(Task(task) for task in read["tasks"])
            for name in ("scene_classes", "categories"):
                read[name] = tuple(_text(each) for each in read.get(name, ()))
            if read.get("ground_resolution") is not None:
                finest, coarsest = read["ground_resolution"]
                read["ground_resolution"] = (float(finest), float(coarsest))
            if read.get("object_resolution") is not None:
                read["object_resolution"] = _positive("object_resolution", read["object_resolution"])
            if read.get("box_confidence") is not None:
                read["box_confidence"] = BoxConfidence.from_dict(read["box_confidence"])
        except (TypeError, ValueError, AttributeError, OverflowError, SettingsError) as error:
            raise CheckpointError(f"{SETTINGS_FILE} has an impossible value: {error}") from error
        if read.get("fit") is not None and read["fit"] not in get_args(Fit):
            raise CheckpointError(f"{SETTINGS_FILE} has fit={read['fit']!r}; use 'pad' or 'crop'")
        return cls(**read)


def read_settings(folder: Path, name: str | None = None) -> Settings:
    """Read the settings of the checkpoint in `folder`.

    Without a `geochat.json`, the settings are the published model's, under `name`, with the fit of the image processor
    of a checkpoint in the native layout.

    Raises:
        CheckpointError: The file is not a JSON object of known settings.
    """
    path = folder / SETTINGS_FILE
    if path.is_file():
        return Settings.from_dict(read_object(path))
    return Settings(name=name or folder.name, fit=_stated_fit(folder))


def _stated_fit(folder: Path) -> Fit | None:
    """Return the fit of the image processor of a checkpoint in the native layout; None if it states none."""
    if not (folder / "config.json").is_file() or "vision_config" not in read_object(folder / "config.json"):
        return None
    for file in (folder / "processor_config.json", folder / "preprocessor_config.json"):
        values = read_object(file) if file.is_file() else {}
        stated = values.get("image_processor", values)
        if isinstance(stated, dict) and {"do_pad", "do_center_crop"} & stated.keys():
            return "pad" if stated.get("do_pad") else "crop"
    return None


def write_settings(settings: Settings, folder: Path) -> None:
    """Write `geochat.json` into `folder`."""
    text = json.dumps(settings.to_dict(), indent=2, ensure_ascii=False)
    (folder / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}, neither true nor false")
    return value


def _positive(name: str, value: Any) -> float:  # noqa: ANN401 - any JSON value
    number = float(value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} is {value!r}, no positive number")
    return number


def _count(name: str, value: object) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise TypeError(f"{name} is {value!r}, neither null nor a number from 0")
    return value
