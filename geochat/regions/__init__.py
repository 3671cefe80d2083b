"""Oriented boxes and the text they are written in: `<p>2 ships</p> {<10><20><30><40>|<45>}`.

`parse` reads a whole answer, `StreamingParser` reads one while it is being generated, `format_box` and its kin
write. Reading never raises and never loses text; writing raises `RegionError` rather than write what could not be
read back. A box turns clockwise on screen everywhere in the project: how a checkpoint writes its angles
(`AngleConvention`) matters to reading and writing alone.
"""

from geochat.regions.box import OrientedBox
from geochat.regions.convention import DEFAULT_CONVENTION, AngleConvention, AngleRange, Direction
from geochat.regions.events import Event, Phrase, Region, Text, Unreadable, merge_text
from geochat.regions.reading import ParsedText, parse
from geochat.regions.stream import StreamingParser
from geochat.regions.writing import format_box, format_region, format_regions

__all__ = [
    "DEFAULT_CONVENTION",
    "AngleConvention",
    "AngleRange",
    "Direction",
    "Event",
    "OrientedBox",
    "ParsedText",
    "Phrase",
    "Region",
    "StreamingParser",
    "Text",
    "Unreadable",
    "format_box",
    "format_region",
    "format_regions",
    "merge_text",
    "parse",
]
