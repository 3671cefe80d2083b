"""Referring expressions, converted to the form that training used.

The trained form is "the ship", "all ships", "the largest ship" or "the ship at the top left". The vocabulary states
whether a checkpoint distinguishes objects by colour. Relations between objects are never asked for, because the bundled
model only guesses them, as measured.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from geochat.prompts.phrases import category_of, normalise, plural, quoted, singular
from geochat.prompts.synonyms import AFTER_NOUN, ANYTHING, COLOURS, DETERMINERS, NUMBERS

_FAR = "(?:furthest|farthest)"
_EXTREMES = {
    "leftmost": f"leftmost|left most|most left|far left|{_FAR} left|westernmost|most western|{_FAR} west",
    "rightmost": f"rightmost|right most|most right|far right|{_FAR} right|easternmost|most eastern|{_FAR} east",
    "topmost": f"topmost|top most|uppermost|highest|{_FAR} up|northernmost|most northern|{_FAR} north",
    "bottommost": f"bottommost|bottom most|lowermost|lowest|{_FAR} down|southernmost|most southern|{_FAR} south",
    "largest": "largest|biggest|longest|hugest",
    "smallest": "smallest|tiniest|littlest|shortest",
}
_LOOSE_SIZES = {"big": "largest", "large": "largest", "huge": "largest", "small": "smallest", "tiny": "smallest"}
_EVERY = frozenset(("all", "every", "each", "both", "these", "those", "any", "some", "several", "many"))
_ONE = frozenset(("one", "single", "1"))
_PRONOUNS = frozenset(("they", "them", "it", "those", "these", "that", "this", "ones"))
_SINGLE = frozenset(("it", "that", "this"))
_IS = r"(?: that| which)?(?: is| are)?(?: located| situated| lying| parked| docked| standing)?"
_SPOT = r"(?P<row>top|upper|bottom|lower)?(?:(?<=\w) )?(?P<column>left|right)?(?P<middle>center|central|middle)?"
_PARTS = "corner|side|part|area|edge|half|third|quadrant|section|end"
_PART = rf"(?: hand)?(?: (?P<part>{_PARTS}))?"
_AFTER = re.compile(rf"{_IS} (?:in|at|on|to|near|towards?)(?: the)?(?: very| far)? {_SPOT}{_PART}$")
_CLOSEST = rf"\b(?:closest|nearest|most|{_FAR})(?: to)?(?: the)?(?: very)?"
_EDGE = rf"\b(?! left| right)(?: hand)?(?: (?:{_PARTS}|border)\b)?"
_TOWARDS = {
    "leftmost": re.compile(f"{_CLOSEST} (?:left|west){_EDGE}"),
    "rightmost": re.compile(f"{_CLOSEST} (?:right|east){_EDGE}"),
    "topmost": re.compile(f"{_CLOSEST} (?:top|upper|north){_EDGE}"),
    "bottommost": re.compile(f"{_CLOSEST} (?:bottom|lower|south){_EDGE}"),
}
_NEAREST = re.compile(rf"{_IS} (?P<extreme>{'|'.join(_TOWARDS)})$")
_BEFORE = re.compile(rf"{_SPOT} (?=\w)")
_RANKED = re.compile(rf"^(?P<word>{'|'.join(_EXTREMES.values())})(?:$| (?:one )?of (?:the |all (?:the )?)?| )")
_RELATION = re.compile(
    rf"{_IS} (?:next to|beside|near|by|above|below|under|behind|between|along|(?:to the )?(?:left|right) of) "
)
_JOINED = re.compile(r" (?:and|or) (?:the |any |all )?")
_AMOUNTS = ("as many ", "more ", "fewer ", "less ", "at least ", "exactly ", "only ", "no ")


@dataclass(frozen=True, slots=True)
class Expression:
    """A referring expression a checkpoint was trained on.

    Attributes:
        category: Category of the object, one of the checkpoint's.
        many: Whether all of them are; else one.
        extreme: "leftmost", "largest" and so on, or "".
        place: "at the top left", "in the left half" and so on, or "".
        colour: "white" and so on, or "".
    """

    category: str
    many: bool = False
    extreme: str = ""
    place: str = ""
    colour: str = ""

    @property
    def plain(self) -> bool:
        """Return whether only the category is named."""
        return not (self.extreme or self.place or self.colour)

    @property
    def phrase(self) -> str:
        """The expression in trained words."""
        noun = plural(self.category) if self.many else self.category
        words = ("all" if self.many else "the", self.extreme, self.colour, noun, self.place)
        return " ".join(word for word in words if word)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Words that cannot be converted to a trained expression.

    Attributes:
        reason: Why not, as the beginning of a sentence.
        noun: The unknown noun, if that is the reason.
    """

    reason: str
    noun: str = ""


def read_expression(
    words: str, categories: Sequence[str], *, colours: Sequence[str] = (), default: str = ""
) -> Expression | Unknown:
    """Convert words to a trained expression.

    Args:
        words: Such as "the two biggest planes" or "tanks in the upper left corner".
        categories: Possible categories.
        colours: The colours objects may be told apart by.
        default: The category meant by "the leftmost one" or "they".
    """
    text, nearest = _nearest(normalise(words))
    text, place = _place_after(text)
    text, many, counted = _determined(text)
    text, extreme = (text, nearest) if nearest else _ranked(text)
    if not (place or extreme):
        text, place = _place_before(text)
    colour, _, rest = text.partition(" ")
    colour, text = (colour, rest) if colour in colours else ("", text)
    loose, _, rest = text.partition(" ")
    loose, text = (_LOOSE_SIZES[loose], rest) if loose in _LOOSE_SIZES else ("", text)
    category = category_of(text, categories)
    if not category and (text in _PRONOUNS or singular(text) in {"", *ANYTHING}):
        category = default
    if not category:
        return _unknown(text, categories)
    many = not extreme and (many or singular(text) != text or text in _PRONOUNS - _SINGLE)
    if loose and (many or extreme):
        return Unknown('I tell sizes apart only as "the largest" and "the smallest"')
    extreme = extreme or loose
    if extreme and (counted or place or colour):
        return Unknown(f"I can find the {extreme} {category} of the whole image, but not restrict it further")
    return Expression(category, many, extreme, place, colour)


def with_extremes(text: str) -> str:
    """Return normalised words with "closest to the top" and the like replaced by the extreme meant: "topmost"."""
    for extreme, pattern in _TOWARDS.items():
        text = pattern.sub(extreme, text)
    return text


def _nearest(text: str) -> tuple[str, str]:
    """Return the text without an extreme at its end, "closest to the top" or the like, and that extreme."""
    found = _NEAREST.search(f" {with_extremes(text)}")
    return (found.string[: found.start()].strip(), found["extreme"]) if found else (text, "")


def _place_after(text: str) -> tuple[str, str]:
    """Return the text without a place at its end, and that place in trained words."""
    found = _AFTER.search(f" {text}")
    where = _where(found) if found else ""
    return (text[: max(0, found.start() - 1)].strip(), where) if found and where else (text, "")


def _place_before(text: str) -> tuple[str, str]:
    """Return the text without a place at its beginning, as in "top left ship", and that place in trained words."""
    found = _BEFORE.match(text)
    where = _where(found) if found else ""
    return (text[found.end() :], where) if found and where else (text, "")


def _where(found: re.Match[str]) -> str:
    spot = {"upper": "top", "lower": "bottom"}
    row, column = spot.get(found["row"] or "", found["row"] or ""), found["column"] or ""
    if found["middle"]:
        return "" if row or column else "in the center"
    if found.groupdict().get("part") == "half":
        return f"in the {row or column} half" if bool(row) != bool(column) else ""
    if row:
        return f"at the {row} {column}".rstrip()
    return f"on the {column}" if column else ""


def _determined(text: str) -> tuple[str, bool, bool]:
    """Return the text without articles and counts, whether these mean several objects, and whether they count."""
    words = text.split()
    many = counted = article = False
    while words:
        word = words[0]
        number = word.isdigit() or word in NUMBERS
        if not (number or word in DETERMINERS or word == "of") or (len(words) == 1 and word in _PRONOUNS | _ONE):
            break
        article, counted = True, counted or (number and word not in _ONE)
        many = many or counted or word in _EVERY
        words.pop(0)
    return " ".join(words), many or (not article and words[-1:] == ["aircraft"]), counted


def _ranked(text: str) -> tuple[str, str]:
    """Return the text without an extreme at its beginning, and that extreme in trained words."""
    if not (found := _RANKED.match(text)):
        return text, ""
    return text[found.end() :], next(name for name, forms in _EXTREMES.items() if re.fullmatch(forms, found["word"]))


def _unknown(text: str, categories: Sequence[str]) -> Unknown:
    """Return the reason why a text cannot be converted to an expression."""
    words = text.split()
    if len(words) > 1 and words[0] in _PRONOUNS:  # "any of them helicopters" asks about helicopters
        words = words[1:]
        text = " ".join(words)
    colour = next((word for word in words if word in COLOURS), "")
    left = " ".join(word for word in words if word not in COLOURS | {"that", "which", "is", "are", "and", "or"})
    relation = _RELATION.search(text)
    rest = _rest(words, categories)
    reason, noun = f"I do not know {quoted(text)}", text
    if colour and (category_of(left, categories) or singular(left) in ANYTHING):
        reason, noun = f'I cannot tell objects apart by color ("{colour}")', ""
    elif relation and category_of(text[: relation.start()], categories):
        reason, noun = "I cannot tell how objects lie to one another", ""
    elif len(_several(text, categories)) > 1:
        reason, noun = "I answer about one kind of object at a time", ""
    elif text.startswith(_AMOUNTS):
        reason, noun = 'I compare only whether there are "more" or "fewer" of one kind of object than of another', ""
    elif not text or text in _PRONOUNS or singular(text) in ANYTHING:
        reason, noun = "it is not clear which kind of object is meant", ""
    elif rest:
        reason, noun = f"I know {quoted(text.removesuffix(rest).strip())}, but not {quoted(rest)}", ""
    return Unknown(reason, noun)


def _rest(words: Sequence[str], categories: Sequence[str]) -> str:
    """Return the words after a leading category: "on the runway"."""
    ends = (end for end, word in enumerate(words) if word in AFTER_NOUN)
    return next((" ".join(words[end:]) for end in ends if category_of(" ".join(words[:end]), categories)), "")


def _several(text: str, categories: Sequence[str]) -> list[str]:
    """Return the categories that a list names; empty if part of it is none."""
    parts = [part for part in _JOINED.split(text) if part]
    nouns = [noun for part in parts for noun in ([part] if category_of(part, categories) else part.split())]
    return nouns if all(category_of(noun, categories) for noun in nouns) else []
