"""Whose answers are read: the names of the fields and the way boxes are written.

A file holds one JSON object a line. `geochat` is what the original's evaluation scripts write, `earthdial` what
EarthDial's do, `lmms-eval` what that harness logs with `--log_samples`: the model's words in `filtered_resps`, the
truth in `target`, and what is known of the question in `doc`.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from geochat.dialects import Dialect
from geochat_eval.grounded import GroundedText, read_any, read_brackets, read_markup

_IMAGE = ("image_id", "image", "img_id", "image_path", "file_name", "filename")
_QUESTION = ("question_id", "doc_id")
_SHOWN = 40  # characters of a truth in a message


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with what its line says of the question.

    Attributes:
        text: What the model wrote.
        truth: Decoded JSON of the truth, None where the line has none under the format's names.
        fields: All fields of the line.
        dialect: How the model that gave it writes regions.
        truth_dialect: How its truth writes them.
        read_boxes: Reads a text of its format.
    """

    text: str
    truth: Any
    fields: Mapping[str, Any]
    dialect: Dialect
    truth_dialect: Dialect
    read_boxes: Callable[[str, Dialect], GroundedText]

    @property
    def label(self) -> str:
        """The truth as words.

        Raises:
            ValueError: There is none, it says nothing, or it is neither text nor a number.
        """
        if self.truth is None:
            raise ValueError("it has no ground truth")
        words = _words(self.truth, "the ground truth")
        if not words.strip():
            raise ValueError("its ground truth is an empty text")
        if (value := decoded(words)) is not None:
            raise ValueError(f"its ground truth is {_kind(value)} written as text, where words are expected")
        return words

    @property
    def question(self) -> tuple[str, ...] | None:
        """Id, image and words of its question, "" for what the line does not have; None without an id."""
        name = self.group(*_QUESTION)
        if name is None:
            return None
        return name, self.group(*_IMAGE) or "", self.group("question", "prompt", "text") or ""

    @property
    def unit(self) -> tuple[str, str] | None:
        """What the bootstrap resamples: "images" or "question ids", and which; None where the line names neither."""
        for kind, names in (("images", _IMAGE), ("question ids", _QUESTION)):
            if (name := self.group(*names)) is not None:
                return kind, name
        return None

    @property
    def unit_name(self) -> str | None:
        """The unit as one name."""
        return None if self.unit is None else " ".join(self.unit)

    @property
    def grounded(self) -> GroundedText:
        """The answer taken apart, its boxes in its model's numbers."""
        return self.read_text(self.text, self.dialect)

    def read_text(self, text: str, dialect: Dialect) -> GroundedText:
        """A text taken apart: as its dialect reads it; the published one's also in the way of the format."""
        return self.read_boxes(text, dialect) if dialect.name == "geochat" else read_markup(text, dialect)

    def group(self, *names: str) -> str | None:
        """The first of the fields `names` that is there, as a word."""
        values = (self.fields[name] for name in names if self.fields.get(name) not in (None, ""))
        return next((_encodable(value) for value in values if isinstance(value, str | int)), None)


@dataclass(frozen=True, slots=True)
class Format:
    """Where an answer and its truth are, in order of preference, and how boxes are written."""

    answer: tuple[str, ...]
    truth: tuple[str, ...]
    read_boxes: Callable[[str, Dialect], GroundedText]
    unpack: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def read(self, row: dict[str, Any], dialect: Dialect, truth_dialect: Dialect | None = None) -> Answer:
        """Read one line.

        Args:
            row: The line.
            dialect: How the model that answered writes regions.
            truth_dialect: How the truth writes them, None where it does so as the answers.

        Raises:
            ValueError: It has no answer, or one that is no text.
        """
        fields = self.unpack(row)
        name = next((name for name in self.answer if name in fields), None)
        if name is None:
            raise ValueError(f"it has no field {' or '.join(map(repr, self.answer))}")
        truth = next((fields[name] for name in self.truth if fields.get(name) is not None), None)
        text = _words(fields[name], "the answer")
        return Answer(text, truth, fields, dialect, truth_dialect or dialect, self.read_boxes)


def decoded(text: str) -> list[Any] | dict[str, Any] | None:
    """The list or object that a text holds as JSON, None where it is other text."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None


def shown(text: str) -> str:
    """The beginning of a text for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _words(value: Any, what: str) -> str:  # noqa: ANN401 - decoded JSON
    if isinstance(value, str | int) and not isinstance(value, bool):
        return _encodable(value)
    if isinstance(value, float) and math.isfinite(value):
        return _encodable(value)
    raise ValueError(f"{what} is {_kind(value)}, not text")


def _kind(value: Any) -> str:  # noqa: ANN401 - decoded JSON
    """What JSON calls a value."""
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    return f"a {type(value).__name__}"


def _encodable(value: str | float) -> str:
    """As text that can be written; JSON may hold halves of characters, which become question marks."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _unpack_lmms_eval(row: dict[str, Any]) -> dict[str, Any]:
    """One level: what a metric noted, what the document says, then the line's own fields; the first response."""
    fields: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and name != "doc":
            fields |= value
    fields |= row["doc"] if isinstance(row.get("doc"), dict) else {}
    fields |= row
    for name in ("filtered_resps", "resps"):
        while isinstance(fields.get(name), list) and fields[name]:
            fields[name] = fields[name][0]
    return fields


FORMATS: dict[str, Format] = {
    "geochat": Format(("answer",), ("ground_truth", "description", "captions", "references", "label"), read_markup),
    "earthdial": Format(("answer",), ("annotation", "gt_bbox", "groundtruth"), read_brackets),
    "lmms-eval": Format(("filtered_resps", "resps"), ("target",), read_any, _unpack_lmms_eval),
}
"""The formats by the name the command line knows them under."""
