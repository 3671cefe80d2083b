"""Dialects: prompt wordings and region formats, one per family of models.

A dialect has three parts: a *syntax* (reading, streaming and writing of regions and phrases), a *frame* (the area that
the numbers cover, their scale, rounding and angles) and *wordings* (the prompts of the tasks). A checkpoint names its
dialect in `geochat.json`, or the user names one. A dialect is never guessed from text, because the same braces mean
corners to one model and centre and sides to another, and the same JSON pixels to one and thousandths to the next.

Reading never raises and never loses text; writing raises `RegionError` rather than write what could not be read back.

    >>> GEOCHAT.parse("<p>2 ships</p> {<10><20><30><40>|<45>}").regions
    >>> find_dialect("qwen3-vl").compose("the ship", Task.REFER)

To add a dialect, write a file that declares a `Dialect` from a syntax, an order and a frame, and register it
(`docs/dialects.md`).
"""

from geochat.dialects.base import Dialect, Wordings
from geochat.dialects.conversion import Converted, convert, convert_question, mover
from geochat.dialects.geochat import GEOCHAT
from geochat.dialects.parsed import Event, ParsedText, Phrase, Region, Text, Unreadable, merge_text
from geochat.dialects.reader import Reader
from geochat.dialects.registry import DIALECTS, find_dialect, names_of_dialects, register
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import Syntax

__all__ = [
    "DIALECTS",
    "GEOCHAT",
    "Converted",
    "Dialect",
    "Event",
    "ParsedText",
    "Phrase",
    "Reader",
    "Region",
    "Shape",
    "Syntax",
    "Text",
    "Unreadable",
    "Wordings",
    "convert",
    "convert_question",
    "find_dialect",
    "merge_text",
    "mover",
    "names_of_dialects",
    "register",
]
