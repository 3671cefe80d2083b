"""The dialect of GeoChat, `<p>2 ships</p> {<10><20><30><40>|<45>}`, and the grammar of regions in braces.

    answer  = { words | phrase | box | "<delim>" | "</s>" }
    phrase  = "<p>" words ( "</p>" | before a box )
    box     = "{" number number number number [ "|" number ] "}"
    number  = "<" decimal ">"

Spaces are allowed around the parts of a box, and `<` and `>` may be written `&lt;` and `&gt;` in any mark. A brace
begins a box only where a number follows; every other `{`, `<` and `&` is part of the words. The same braces mean
corners to GeoChat and centre and sides to SkySenseGPT: the order says which.

GeoChat writes percent of the padded square as whole numbers; angles are clockwise on screen in (0, 90], OpenCV's range,
as the published model was trained on (docs/design.md, decision 4). Task tokens and wordings are those of section 3.1 of
the paper.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from geochat.dialects.base import Dialect, Wordings
from geochat.dialects.grammar import MAX_HELD, NUMBER_AHEAD, SPACES, Grammar, Kind, Opening, Token
from geochat.dialects.orders import Corners
from geochat.dialects.shapes import Shape
from geochat.dialects.syntax import Named, Syntax
from geochat.geometry import AngleConvention
from geochat.prompts import Task

_LT, _GT = "(?:<|&lt;)", "(?:>|&gt;)"
_NUMBER = rf"{_LT}\s*([-+]?(?:[0-9]{{1,9}}(?:\.[0-9]*)?|\.[0-9]+))\s*{_GT}"
_BOX = re.compile(rf"\{{\s*{_NUMBER}\s*{_NUMBER}\s*{_NUMBER}\s*{_NUMBER}\s*(?:\|\s*{_NUMBER}\s*)?\}}")
_OPENING = Opening(rf"\{{{SPACES}{_LT}{SPACES}{NUMBER_AHEAD}", rf"\{{{SPACES}(?:&(?:lt?)?|{_LT}{SPACES}[-+]?\.?)?")
# A box that is never closed ends where the next brace or mark or a word after a space shows that it is over.
_MARKS = "|".join(f"{_LT}{name}{_GT}" for name in ("p", "/p", "delim", "/s"))
_BOX_ENDS = re.compile(rf"(?P<brace>\}})|\{{|{_MARKS}|(?<!\s)\s+(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class BraceSyntax(Syntax):
    """`<p>phrase</p> {<x1><y1><x2><y2>|<θ>}<delim>{…}`.

    Attributes:
        around: Text before and after all boxes of a phrase.
        between: Text between them.
    """

    phrase: tuple[str, str] | None = ("<p>", "</p>")
    around: tuple[str, str] = ("", "")
    between: str = "<delim>"

    def build_grammar(self) -> Grammar:
        """The marks."""
        opened, closed = self.around
        tags = {opened, closed, opened.rstrip("("), closed.lstrip(")")} - {""}
        return Grammar.of(
            [_OPENING],
            phrase=self.phrase,
            delimiters=["<delim>", *sorted(tags)],
            ends=["</s>"],
            escaped=True,
            telling=r"\{",
        )

    def element(
        self, text: str, start: int, inside: int, *, final: bool, marked: bool, angles: AngleConvention
    ) -> Token | None:
        """Read a box that begins at `start`, or return the unreadable part in its place."""
        window = start + MAX_HELD + self.grammar.longest
        stop = _BOX_ENDS.search(text, inside, window)
        if stop is None and len(text) < window and not final:
            return None
        end = stop.start() if stop else len(text)
        if end - start > MAX_HELD:
            return Token(Kind.UNREADABLE, start + MAX_HELD, reason=f"no box is longer than {MAX_HELD} characters")
        if stop is None or stop.lastgroup != "brace":
            written = len(text[start:end].rstrip())
            return Token(Kind.UNREADABLE, start + written, reason="the box it begins does not end")
        if match := _BOX.fullmatch(text, start, stop.end()):
            numbers = [float(number) for number in match.groups() if number is not None]
            if self.order.takes(len(numbers)):
                return Token(Kind.REGION, stop.end(), shapes=((stop.end(), self.order.read(numbers, angles)),))
            reason = f"a box has {self.order.expects}, this one {len(numbers)} numbers"
            return Token(Kind.UNREADABLE, stop.end(), reason=reason)
        return Token(Kind.UNREADABLE, stop.end(), reason=_why(text[start : stop.end()]))

    def region(self, shape: Shape, _label: str | None, angles: AngleConvention, decimals: int) -> str:
        """Write one box in braces."""
        numbers = [f"<{number}>" for number in self.numbers(shape, angles, decimals)]
        angle = f"|{numbers[4]}" if len(numbers) == 5 else ""
        return f"{{{''.join(numbers[:4])}{angle}}}"

    def compose(self, groups: Sequence[Named], angles: AngleConvention, decimals: int, inline: bool) -> str:
        """Write phrases between their marks, each with its boxes."""
        written = []
        for phrase, shapes in groups:
            boxes = self.between.join(self.region(shape, None, angles, decimals) for shape in shapes)
            boxes = f"{self.around[0]}{boxes}{self.around[1]}" if shapes else ""
            written.append(self.named(phrase, boxes, inline, gap=" "))
        return " ".join(written)


def _why(box: str) -> str:
    """Return the reason why a complete box could not be read."""
    coordinates, *angles = box.split("|")
    count = len(re.findall(_NUMBER, coordinates))
    if len(angles) > 1:
        return f"a box has one angle, this one {len(angles)}"
    if count != 4:
        return f"a box has 4 coordinates, {count} could be read"
    return "a box is written {<x1><y1><x2><y2>|<angle>}"


WORDINGS = Wordings(
    tokens={Task.IDENTIFY: "[identify]", Task.REFER: "[refer]", Task.GROUNDING: "[grounding]"},
    defaults={
        Task.CAPTION: "Describe the image.",
        Task.GROUNDING: "Describe the image in detail with the positions of the objects.",
        Task.IDENTIFY: "What is the object present at",
    },
    templates={
        Task.REFER: ("Give me the location of <p> {} </p>", "<p>"),
        Task.VQA: ("{}\nAnswer the question using a single word or phrase.", "Answer the question using"),
        Task.SCENE: (
            "Classify the image within one of the given classes: {}. Answer with one word or short phrase.",
            "Classify the image",
        ),
    },
)

GEOCHAT = Dialect(
    "geochat",
    BraceSyntax(Corners(oriented=True)),
    WORDINGS,
    source="Kuckreja et al., CVPR 2024, section 3.1; angle and frame measured, docs/design.md decision 4",
)
