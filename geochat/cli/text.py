"""Answers and conversations as text: for a terminal, in JSON and in Markdown.

The lines of an answer are derived from the object that `--json` prints, so that an answer of a server has the same
lines. Nothing heavy is imported before an answer exists.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geochat.cli.output import print_notice
from geochat.errors import ExportError

if TYPE_CHECKING:
    from geochat.assistant import Answer, AnswerStream
    from geochat.dialects import Event

CONVERSATION_FILES = "the conversation (.json, .md), or the last answer's regions (.geojson, .gpkg, .png, .jpg)"

_MOST_CHOICES = 10
_ENDINGS = (".json", ".md", ".geojson", ".gpkg", ".png", ".jpg", ".jpeg")
_IN_METRES = re.compile(r"EPSG:(3857|32[67]\d\d)")  # Web Mercator and UTM


def print_stream(stream: "AnswerStream") -> "Answer":
    """Print the text while it is generated, then the regions.

    Notices go to standard error: those known before the answer first, the others last.
    """

    def values() -> dict[str, Any]:
        return stream.answer.to_dict()

    print_words(_as_words(stream), [notice.text for notice in stream.notices], values)
    return stream.answer


def print_words(words: Iterable[str], notices: Sequence[str], values: Callable[[], Mapping[str, Any]]) -> None:
    """Print an answer in the format of `print_stream`.

    Args:
        words: The pieces of its text as they come.
        notices: The notices known before.
        values: The object that `--json` prints, once the words have come.
    """
    for notice in notices:
        print_notice(notice)
    printed = []
    for piece in words:
        printed.append(piece)
        print(piece, end="", flush=True)
    print()
    answer = values()
    if line := _choice_line(answer, "".join(printed)):
        print(line)
    if answer["regions"]:
        print(f"\n{_heading(answer['crs'])}")
        print("\n".join(_region_lines(answer)))
    for told in answer["notices"][len(notices) :]:
        print_notice(told["text"])


def save_conversation(history: Sequence["Answer"], path: Path) -> Path:
    """Write a conversation, or its last answer, in the format of the file's suffix.

    Args:
        history: The answers, oldest first, all about one image.
        path: Ends in .json or .md for the conversation; in .geojson, .gpkg, .png or .jpg for the last answer's regions.

    Returns:
        The path written.

    Raises:
        ExportError: There is no answer yet, the ending is another one, or the file cannot be written.
    """
    from geochat.exports import check_target
    from geochat.exports.files import write_atomically

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


def conversation_as_text(history: Sequence["Answer"]) -> str:
    """Return a conversation as the terminal showed it."""
    turns = (
        ["> " + answer.prompt.replace("\n", "\n> "), _words(answer), *_region_lines(answer.to_dict())]
        for answer in history
    )
    return "\n\n".join("\n".join(turn) for turn in turns) or "nothing has been asked yet"


def _as_markdown(history: Sequence["Answer"]) -> str:
    """Return a conversation in Markdown, with the corners of regions in pixels of the image."""
    source = _source(history)
    lines = [f"# {source['image'] or 'An image'}", "", *(f"- {name}: {value}" for name, value in source.items())]
    for answer in history:
        lines += ["", f"**`{' '.join(answer.prompt.split())}`**", "", escape(_words(answer), quote=False)]
        regions = [
            f"- {escape(line, quote=False)}" for line in _region_lines(answer.to_dict())
        ]  # a second line is indented
        lines += ["", *regions] if regions else []
    return "\n".join(lines) + "\n"


def _source(history: Sequence["Answer"]) -> dict[str, Any]:
    """Return the provenance that the answers share."""
    return {name: value for name, value in history[0].provenance.items() if name not in ("question", "task", "prompt")}


def _words(answer: "Answer") -> str:
    return "".join(_as_words(answer.parsed.events)).strip() or "(no words)"


def _as_words(events: "Iterable[Event]") -> Iterator[str]:
    """Yield the words of an answer, with `[1]` in place of the first region."""
    from geochat.assistant.regions import Numbering
    from geochat.dialects import Phrase, Region, Text

    numbering = Numbering()
    for event in events:
        match event:
            case Text() | Phrase():
                yield event.text
            case Region():
                yield f"[{numbering.number(event)}]"


def _choice_line(answer: Mapping[str, Any], words: str) -> str:
    """Return the choices with their probabilities; "" without choices, or if the line would repeat `words`."""
    scored = [choice for choice in answer["choices"] if choice["probability"] is not None]
    if scored:
        scored.sort(key=lambda choice: -choice["probability"])
        shown = ", ".join(f"{choice['text']} {percent(choice['probability'])}" for choice in scored[:_MOST_CHOICES])
        more = len(scored) - _MOST_CHOICES
        return f"{shown}, and {more} more" if more > 0 else shown
    return f"choice: {answer['choice']}" if answer["choice"] not in (None, words.strip()) else ""


def percent(share: float) -> str:
    """Format a probability in whole percent; values near 0 and 1 in words that do not claim certainty."""
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 < share < 1 else f"{share:.0%}".replace("%", " %")


def _heading(crs: str | None) -> str:
    """Return the heading that explains the numbers in `_region_lines`."""
    where = "" if crs is None else f", and below in {crs_name(crs)}"
    return f"regions, corners x,y in pixels of the image{where}:"


def _region_lines(answer: Mapping[str, Any]) -> list[str]:
    """Return number, phrase and corners of each region in pixels; for a map also its size, and below its map corners.

    A region whose phrase is not the one asked for is marked.
    """
    crs = answer["crs"]
    digits = 0 if crs is None or not answer["regions"] else map_digits(answer["image"]["image_to_map"], crs)
    return [_region_text(number, region, digits) for number, region in enumerate(answer["regions"], 1)]


def crs_name(crs: str) -> str:
    """Return the short name of a CRS: its code, or the name in its definition."""
    named = re.match(r'\w+\["([^"]+)"', crs)
    return named[1] if named else crs


def map_digits(image_to_map: Sequence[float] | None, crs: str) -> int:
    """Return the number of decimals for tenths of a pixel on the map; six or seven for degrees.

    Args:
        image_to_map: The affine map a, b, c, d, e, f from pixels.
        crs: The CRS of the map.
    """
    if image_to_map is None:
        return 0
    a, b, _, d, e, _ = image_to_map[:6]
    pixel = math.sqrt(abs(a * e - b * d)) or 1.0
    digits = math.ceil(-math.log10(pixel / 10) - 1e-9)
    return min(max(digits, 6), 7) if _in_degrees(crs) else min(max(digits, 0), 3)


def _in_degrees(crs: str) -> bool:
    if _IN_METRES.fullmatch(crs):  # known without the import below, the slowest of an answer from a server
        return False
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return bool(CRS.from_user_input(crs).is_geographic)
    except CRSError:
        return False


def _region_text(number: int, region: Mapping[str, Any], digits: int) -> str:
    remarks = []
    if region["area_m2"] is not None:
        width, height, area = (_rounded(region[name]) for name in ("width_m", "height_m", "area_m2"))
        remarks.append(f"{width} x {height} m, {area} m²")
    if region["as_asked"] is False:
        remarks.append("not what was asked for")
    aside = f" ({'; '.join(remarks)})" if remarks else ""
    lines = [f"[{number}] {region['phrase'] or 'region'}{aside}: {_corners(region['pixels'], 1)}"]
    if region["map"] is not None:
        lines.append(f"    {_corners(region['map'], digits)}")
    return "\n".join(lines)


def _corners(points: Iterable[Sequence[float]], digits: int) -> str:
    return "  ".join(f"{x:.{digits}f},{y:.{digits}f}" for x, y in points)


def _rounded(length: float) -> str:
    """Format a number with three significant digits, without an exponent."""
    if length <= 0:
        return "0"
    digits = 2 - math.floor(math.log10(length))
    return f"{round(length, digits):,.{min(max(digits, 0), 3)}f}"
