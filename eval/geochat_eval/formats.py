"""Formats of answer files: the names of their fields, and the notations of boxes in text.

A file holds one JSON object per line. `geochat` is the format of the original's evaluation scripts, `earthdial` that of
EarthDial's, `lmms-eval` that of the harness with `--log_samples`: the model's text in `filtered_resps`, the truth in
`target`, and the question's fields in `doc`.

Boxes are in the numbers of the model that wrote them, and rotate clockwise on screen. In markup they are in the model's
dialect, for GeoChat after `<p>phrase</p>`; in brackets, `[[x1, y1, x2, y2, θ], ...]`, they follow plain words or
`<ref>phrase</ref>`. If no phrase is marked, the phrase is the words since the last box or end of a clause.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shapely.geometry.base import BaseGeometry

from geochat.dialects import Dialect, Region, Text
from geochat.dialects.orders import Corners
from geochat.dialects.shapes import box_around
from geochat.geometry import OrientedBox

_NUMBER = r"\s*([-+]?(?:\d{1,9}(?:\.\d{0,9})?|\.\d{1,9}))\s*"
_BRACKETS = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}(?:,{_NUMBER})?\]")
_TAG = re.compile(r"</?(?:box|ref|p)>")
_MARKED = re.compile(r"<ref>([^<>]*)</ref>")
_FILLING = " \t\n[](),"
_CLAUSE_ENDS = re.compile(r"[.,;:!?\n]")


@dataclass(frozen=True, slots=True)
class GroundedText:
    """Words and boxes of a text.

    Attributes:
        words: The text without boxes and marks.
        boxes: The boxes, in the numbers they were written in.
        phrases: For each box the words it belongs to, empty where there are none.
        shapes: For each box the point or polygon that was written in its place, None for a box; empty for boxes alone.
    """

    words: str
    boxes: tuple[OrientedBox, ...] = ()
    phrases: tuple[str, ...] = ()
    shapes: tuple[BaseGeometry | None, ...] = ()


def read_markup(text: str, dialect: Dialect) -> GroundedText:
    """Read what the dialect writes, for GeoChat `<p>phrase</p> {<x1><y1><x2><y2>|<θ>}`."""
    parsed = dialect.parse(text)
    boxes, shapes, phrases, words = [], [], [], ""
    for event in parsed.events:
        if isinstance(event, Region):
            boxes.append(event.box)
            shapes.append(event.geometry)
            phrases.append(event.phrase if event.phrase is not None else last_clause(words))
        elif isinstance(event, Text) and not _only_joins(event.text):
            words = event.text
    return GroundedText(parsed.plain_text, tuple(boxes), tuple(phrases), tuple(shapes))


def read_brackets(text: str, dialect: Dialect) -> GroundedText:
    """Read `words [[x1, y1, x2, y2, θ]]`, θ turning as in the dialect; it may be missing, and boxes may stand alone."""
    boxes, phrases, pieces = [], [], []
    end, phrase = 0, ""
    for match in _BRACKETS.finditer(text):
        gap = text[end : match.start()]
        if not _only_joins(_bare(gap)):
            marked = _MARKED.findall(gap)
            phrase = marked[-1].strip() if marked else last_clause(_bare(gap))
        pieces.append(_bare(gap))
        boxes.append(box_of([float(number or 0) for number in match.groups()], dialect))
        phrases.append(phrase)
        end = match.end()
    pieces.append(_bare(text[end:]))
    return GroundedText(_join(pieces), tuple(boxes), tuple(phrases))


def read_any(text: str, dialect: Dialect) -> GroundedText:
    """Read markup, or brackets if there is no box in markup."""
    grounded = read_markup(text, dialect)
    return grounded if grounded.boxes else read_brackets(text, dialect)


def box_of(numbers: list[float], dialect: Dialect) -> OrientedBox:
    """Convert four numbers, or five with the angle, to a box, in the dialect's order if it accepts this count."""
    order = dialect.syntax.order
    known = order if order.takes(len(numbers)) else Corners(oriented=True)
    return box_around(known.read(numbers, dialect.angles))


def last_clause(words: str) -> str:
    """Return the words after the last end of a clause; punctuation at the end is ignored."""
    return _CLAUSE_ENDS.split(words.rstrip(" .,;:!?\n"))[-1].strip()


def _only_joins(words: str) -> bool:
    """Return whether the words between two boxes leave them with the same phrase."""
    return words.strip(_FILLING).lower() in ("", "and")


def _bare(gap: str) -> str:
    """Remove tags and outer brackets from the text between two boxes."""
    return _TAG.sub("", gap).strip(" \t\n[]").removeprefix(",").strip()


def _join(pieces: list[str]) -> str:
    joined = " ".join(piece for piece in pieces if piece)
    return re.sub(r"\s+([.,;:!?])", r"\1", " ".join(joined.split()))


_IMAGE = ("image_id", "image", "img_id", "image_path", "file_name", "filename")
_QUESTION = ("question_id", "doc_id")
_SHOWN = 40  # characters of a truth in a message


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One answer with the facts of its line about the question.

    Attributes:
        text: The model's text.
        truth: Decoded JSON of the truth, None where the line has none under the format's names.
        fields: All fields of the line.
        dialect: Dialect of the model that gave it.
        truth_dialect: Dialect of its truth.
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
        """The truth as text.

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
        """Id, image and words of the question, "" for missing fields; None without an id."""
        name = self.group(*_QUESTION)
        if name is None:
            return None
        return name, self.group(*_IMAGE) or "", self.group("question", "prompt", "text") or ""

    @property
    def unit(self) -> tuple[str, str] | None:
        """The unit that the bootstrap resamples: "images" or "question ids", and its name; None without either."""
        for kind, names in (("images", _IMAGE), ("question ids", _QUESTION)):
            if (name := self.group(*names)) is not None:
                return kind, name
        return None

    @property
    def unit_name(self) -> str | None:
        """The unit as a single name."""
        return None if self.unit is None else " ".join(self.unit)

    @property
    def grounded(self) -> GroundedText:
        """Words and boxes of the answer, the boxes in the numbers of its model."""
        return self.read_text(self.text, self.dialect)

    def read_text(self, text: str, dialect: Dialect) -> GroundedText:
        """Read a text in its dialect; for the published dialect, with the box reader of the format."""
        return self.read_boxes(text, dialect) if dialect.name == "geochat" else read_markup(text, dialect)

    def group(self, *names: str) -> str | None:
        """Return the first field of `names` that is present, as text."""
        values = (self.fields[name] for name in names if self.fields.get(name) not in (None, ""))
        return next((_encodable(value) for value in values if isinstance(value, str | int)), None)


@dataclass(frozen=True, slots=True)
class Format:
    """Field names of the answer and its truth, in order of preference, and the reader of boxes."""

    answer: tuple[str, ...]
    truth: tuple[str, ...]
    read_boxes: Callable[[str, Dialect], GroundedText]
    unpack: Callable[[dict[str, Any]], dict[str, Any]] = dict

    def read(self, row: dict[str, Any], dialect: Dialect, truth_dialect: Dialect | None = None) -> AnswerRecord:
        """Read one line.

        Args:
            row: The line.
            dialect: Dialect of the model that answered.
            truth_dialect: Dialect of the truth, None if it is that of the answers.

        Raises:
            ValueError: It has no answer, or one that is no text.
        """
        fields = self.unpack(row)
        name = next((name for name in self.answer if name in fields), None)
        if name is None:
            raise ValueError(f"it has no field {' or '.join(map(repr, self.answer))}")
        truth = next((fields[name] for name in self.truth if fields.get(name) is not None), None)
        text = _words(fields[name], "the answer")
        return AnswerRecord(text, truth, fields, dialect, truth_dialect or dialect, self.read_boxes)


def decoded(text: str) -> list[Any] | dict[str, Any] | None:
    """Decode a text that is a JSON list or object; None for other text."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None


def shown(text: str) -> str:
    """Shorten a text for a message."""
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _words(value: Any, what: str) -> str:  # noqa: ANN401 - decoded JSON
    if isinstance(value, str | int) and not isinstance(value, bool):
        return _encodable(value)
    if isinstance(value, float) and math.isfinite(value):
        return _encodable(value)
    raise ValueError(f"{what} is {_kind(value)}, not text")


def _kind(value: Any) -> str:  # noqa: ANN401 - decoded JSON
    """Return the name of a JSON value's type, or the value of a constant or number."""
    if value is None or isinstance(value, bool | float):
        return json.dumps(value)
    return f"a {type(value).__name__}"


def _encodable(value: str | float) -> str:
    """Convert to text that UTF-8 can encode; lone surrogates, which JSON may hold, become question marks."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _unpack_lmms_eval(row: dict[str, Any]) -> dict[str, Any]:
    """Flatten a line: fields of the metrics, of the document, then its own; only the first response."""
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
