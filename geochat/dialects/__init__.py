"""How models write regions, one dialect a family of models.

A dialect has three parts: a *syntax* (how boxes and phrases are read, streamed and written), a *frame rule* (which
square the numbers speak of, their scale, rounding and angles) and *wordings* (how each task is asked). A checkpoint
names its dialect in `geochat.json`; nobody guesses one from a text, because the same braces mean corners to one model
and centre and size to another.

Reading never raises and never loses text; writing raises `RegionError` rather than write what could not be read back.

    >>> GEOCHAT.parse("<p>2 ships</p> {<10><20><30><40>|<45>}").regions
    >>> GEOCHAT.compose("the ship", Task.REFER)

To add a dialect, write a file that makes a `Dialect`, and register it (`docs/dialects.md`).
"""

from geochat.dialects.base import Dialect, Wordings
from geochat.dialects.events import Event, Phrase, Region, Text, Unreadable, merge_text
from geochat.dialects.geochat import GEOCHAT
from geochat.dialects.parsed import ParsedText
from geochat.dialects.reader import Reader
from geochat.dialects.registry import DIALECTS, find_dialect, names_of_dialects, register
from geochat.dialects.syntax import Syntax

__all__ = [
    "DIALECTS",
    "GEOCHAT",
    "Dialect",
    "Event",
    "ParsedText",
    "Phrase",
    "Reader",
    "Region",
    "Syntax",
    "Text",
    "Unreadable",
    "Wordings",
    "find_dialect",
    "merge_text",
    "names_of_dialects",
    "register",
]
