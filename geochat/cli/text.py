"""Answers and conversations as text: at a terminal, in JSON and in Markdown."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geochat.assistant import Answer, AnswerStream
from geochat.assistant.numbering import Numbering
from geochat.cli.output import print_notice
from geochat.dialects import Event, Phrase, Region, Text
from geochat.errors import ExportError
from geochat.exports import GroundedRegion, check_target
from geochat.exports.files import write_atomically

CONVERSATION_FILES = "the conversation (.json, .md), or the last answer's regions (.geojson, .gpkg, .png, .jpg)"

_MOST_CHOICES = 10
_ENDINGS = (".json", ".md", ".geojson", ".gpkg", ".png", ".jpg", ".jpeg")


def print_stream(stream: AnswerStream) -> Answer:
    """Print the text as it is generated, then the regions.

    Notices go to standard error: those known before the answer first, the others last.
    """
    for notice in stream.notices:
        print_notice(notice)
    words = []
    for piece in _as_words(stream):
        words.append(piece)
        print(piece, end="", flush=True)
    print()
    answer = stream.answer
    if line := _choice_line(answer, "".join(words)):
        print(line)
    if answer.regions:
        print(f"\n{_heading(answer)}")
        print("\n".join(_region_lines(answer)))
    for notice in answer.notices[len(stream.notices) :]:
        print_notice(notice)
    return answer


def save_conversation(history: Sequence[Answer], path: Path) -> Path:
    """Write a conversation, or its last answer, in the format of the file's ending.

    Args:
        history: The answers, oldest first, all about one image.
        path: Ends in .json or .md for the conversation; in .geojson, .gpkg, .png or .jpg for the last answer's regions.

    Returns:
        The path written.

    Raises:
        ExportError: There is no answer yet, the ending is another one, or the file cannot be written.
    """
    check_target(path, _ENDINGS)
    if not history:
        raise ExportError(f"there is nothing to write to {path} yet; ask something first")
    match path.suffix.lower():
        case ".json":
            document = {**_source(history), "answers": [answer.to_dict() for answer in history]}
            return write_atomically(path, json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n")
        case ".md":
            return write_atomically(path, _as_markdown(history).encode())
        case ".geojson":
            return history[-1].save_geojson(path)
        case ".gpkg":
            return history[-1].to_geopackage(path)
        case _:
            return history[-1].save_overlay(path)


def conversation_as_text(history: Sequence[Answer]) -> str:
    """A conversation as the terminal showed it."""
    turns = (["> " + answer.prompt.replace("\n", "\n> "), _words(answer), *_region_lines(answer)] for answer in history)
    return "\n\n".join("\n".join(turn) for turn in turns) or "nothing has been asked yet"


def _as_markdown(history: Sequence[Answer]) -> str:
    """A conversation in Markdown, with the corners of regions in pixels of the image."""
    source = _source(history)
    lines = [f"# {source['image'] or 'An image'}", "", *(f"- {name}: {value}" for name, value in source.items())]
    for answer in history:
        lines += ["", f"**`{' '.join(answer.prompt.split())}`**", "", escape(_words(answer), quote=False)]
        regions = [f"- {escape(line, quote=False)}" for line in _region_lines(answer)]  # a second line is indented
        lines += ["", *regions] if regions else []
    return "\n".join(lines) + "\n"


def _source(history: Sequence[Answer]) -> dict[str, Any]:
    """The provenance that the answers share."""
    return {name: value for name, value in history[0].provenance.items() if name not in ("question", "task", "prompt")}


def _words(answer: Answer) -> str:
    return "".join(_as_words(answer.parsed.events)).strip() or "(no words)"


def _as_words(events: Iterable[Event]) -> Iterator[str]:
    """The words of an answer, with `[1]` in place of the first region."""
    numbering = Numbering()
    for event in events:
        match event:
            case Text() | Phrase():
                yield event.text
            case Region():
                yield f"[{numbering.number(event)}]"


def _choice_line(answer: Answer, words: str) -> str:
    """The choices with their probabilities; "" without choices, or where the line would repeat `words`."""
    scores = sorted(answer.completion.choices, key=lambda score: -score.probability)
    if scores:
        shown = ", ".join(f"{score.text} {percent(score.probability)}" for score in scores[:_MOST_CHOICES])
        more = len(scores) - _MOST_CHOICES
        return f"{shown}, and {more} more" if more > 0 else shown
    return f"choice: {answer.choice}" if answer.choice not in (None, words.strip()) else ""


def percent(share: float) -> str:
    """A probability in whole percent; values near 0 and 1 in words that do not claim certainty."""
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 < share < 1 else f"{share:.0%}".replace("%", " %")


def _heading(answer: Answer) -> str:
    """The meaning of the numbers in `_region_lines`."""
    where = "" if answer.crs is None else f", and below in {crs_name(answer.crs)}"
    return f"regions, corners x,y in pixels of the image{where}:"


def _region_lines(answer: Answer) -> list[str]:
    """The number, phrase and corners of each region in pixels; on a map also its size, and below its map corners.

    A region whose phrase is not the one asked for is marked.
    """
    crs = answer.crs
    digits = 0 if crs is None else map_digits(answer.image.place.image_to_map, crs)
    return [_region_text(number, region, digits) for number, region in enumerate(answer.regions, 1)]


def crs_name(crs: str) -> str:
    """The short name of a CRS: its code, or the name in its definition."""
    named = re.match(r'\w+\["([^"]+)"', crs)
    return named[1] if named else crs


def map_digits(image_to_map: Affine | None, crs: str) -> int:
    """Decimals that distinguish tenths of a pixel on the map; six or seven for degrees."""
    if image_to_map is None:
        return 0
    pixel = math.sqrt(abs(image_to_map.determinant)) or 1.0
    digits = math.ceil(-math.log10(pixel / 10) - 1e-9)
    return min(max(digits, 6), 7) if _in_degrees(crs) else min(max(digits, 0), 3)


def _in_degrees(crs: str) -> bool:
    try:
        return bool(CRS.from_user_input(crs).is_geographic)
    except CRSError:
        return False


def _region_text(number: int, region: GroundedRegion, digits: int) -> str:
    remarks = []
    if region.ground_size is not None:
        width, height, area = map(_rounded, region.ground_size)
        remarks.append(f"{width} x {height} m, {area} m²")
    if region.as_asked is False:
        remarks.append("not what was asked for")
    aside = f" ({'; '.join(remarks)})" if remarks else ""
    lines = [f"[{number}] {region.phrase or 'region'}{aside}: {_corners(region.pixels, 1)}"]
    if region.map is not None:
        lines.append(f"    {_corners(region.map, digits)}")
    return "\n".join(lines)


def _corners(points: Sequence[tuple[float, float]], digits: int) -> str:
    return "  ".join(f"{x:.{digits}f},{y:.{digits}f}" for x, y in points)


def _rounded(length: float) -> str:
    """A number with three significant digits, without an exponent."""
    if length <= 0:
        return "0"
    digits = 2 - math.floor(math.log10(length))
    return f"{round(length, digits):,.{min(max(digits, 0), 3)}f}"
