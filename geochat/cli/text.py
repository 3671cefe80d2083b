"""Answers as people read them at a terminal."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from geochat.assistant import Answer, AnswerStream
from geochat.assistant.numbering import Numbering
from geochat.cli.reporting import tell
from geochat.dialects import Event, Phrase, Region, Text
from geochat.exports import GroundedRegion

_MOST_CHOICES = 10


def print_stream(stream: AnswerStream) -> Answer:
    """Print words as they come, and the regions below; notices go to standard error, those known before first."""
    for notice in stream.notices:
        tell(notice)
    words = []
    for piece in as_words(stream):
        words.append(piece)
        print(piece, end="", flush=True)
    print()
    answer = stream.answer
    if line := choice_line(answer, "".join(words)):
        print(line)
    if answer.regions:
        print(f"\n{heading(answer)}")
        print("\n".join(region_lines(answer)))
    for notice in answer.notices[len(stream.notices) :]:
        tell(notice)
    return answer


def as_words(events: Iterable[Event]) -> Iterator[str]:
    """The words of an answer, with `[1]` where the first region was written."""
    numbering = Numbering()
    for event in events:
        match event:
            case Text() | Phrase():
                yield event.text
            case Region():
                yield f"[{numbering.number(event)}]"


def choice_line(answer: Answer, words: str) -> str:
    """The answers offered with how likely each is; "" where none was offered, or there is nothing to add to `words`."""
    scores = sorted(answer.completion.choices, key=lambda score: -score.probability)
    if scores:
        shown = ", ".join(f"{score.text} {percent(score.probability)}" for score in scores[:_MOST_CHOICES])
        more = len(scores) - _MOST_CHOICES
        return f"{shown}, and {more} more" if more > 0 else shown
    return f"choice: {answer.choice}" if answer.choice not in (None, words.strip()) else ""


def percent(share: float) -> str:
    """A probability in whole percent; the least and the most in words that do not claim certainty."""
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 < share < 1 else f"{share:.0%}".replace("%", " %")


def heading(answer: Answer) -> str:
    """What the numbers of `region_lines` are."""
    where = "" if answer.crs is None else f", and below in {crs_name(answer.crs)}"
    return f"regions, corners x,y in pixels of the image{where}:"


def region_lines(answer: Answer) -> list[str]:
    """For each region its number, phrase and corners in pixels; on the map also its size, and below its corners there.

    A region whose phrase is not what was asked for says so.
    """
    crs = answer.crs
    digits = 0 if crs is None else map_digits(answer.image.place.image_to_map, crs)
    return [_region_text(number, region, digits) for number, region in enumerate(answer.regions, 1)]


def crs_name(crs: str) -> str:
    """A CRS in few words: its code, or the name in its definition."""
    named = re.match(r'\w+\["([^"]+)"', crs)
    return named[1] if named else crs


def map_digits(image_to_map: Affine | None, crs: str) -> int:
    """Digits after the point that tell tenths of a pixel apart on the map; of degrees six or seven."""
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
    told = []
    if region.ground_size is not None:
        width, height, area = map(_rounded, region.ground_size)
        told.append(f"{width} x {height} m, {area} m²")
    if region.as_asked is False:
        told.append("not what was asked for")
    aside = f" ({'; '.join(told)})" if told else ""
    lines = [f"[{number}] {region.phrase or 'region'}{aside}: {_corners(region.pixels, 1)}"]
    if region.map is not None:
        lines.append(f"    {_corners(region.map, digits)}")
    return "\n".join(lines)


def _corners(points: Sequence[tuple[float, float]], digits: int) -> str:
    return "  ".join(f"{x:.{digits}f},{y:.{digits}f}" for x, y in points)


def _rounded(length: float) -> str:
    """A number in three digits, written out."""
    if length <= 0:
        return "0"
    digits = 2 - math.floor(math.log10(length))
    return f"{round(length, digits):,.{min(max(digits, 0), 3)}f}"
