"""Recognition by keywords, for wordings that fit no pattern.

A question is recognised here only if every word in it is known: names of objects, words that tell the kind of question,
and words without content of their own. A word of any other meaning ("how *fast* are the ships?") leaves the question
unrecognised, so that it is refused rather than answered as another one. Only a place ("on the runway") may be unknown.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from geochat.prompts import lexicon
from geochat.prompts.expressions import Expression, read_expression, with_extremes
from geochat.prompts.intents import Kind
from geochat.prompts.phrases import normalise, plural
from geochat.prompts.spelling import respelled, words_of
from geochat.prompts.synonyms import EXTREMES
from geochat.prompts.vocabulary import Vocabulary

_SEPARATOR = re.compile(r"[.,;:!?\n()]+|\s[-\u2013\u2014]+\s|\b(?:because|and then|but)\b", re.IGNORECASE)
_EMBEDDED = re.compile(
    r"^.+?\b(?:know|me|wonder|wondering|see|check|say|sure|find out|tell|work out|and|so)\s+"
    r"(?=(?:if|whether|how many|where|what|count|find|mark|show)\b)",
    re.IGNORECASE,
)
_PURPOSE = re.compile(
    r"\s+(?:for (?:my|our|his|her|their"
    r"|the (?:\w+ )?(?:form|office|report|survey|claim|records?|school|class|homework|article|paper|project|map))\b"
    r"|so (?:that )?(?:i|we|you|he|she|they|my|our|the|that)\b|as i\b).*$",
    re.IGNORECASE,
)
_LONGEST = 10  # words of a referring expression
_FOREIGN = 3  # unknown words of a place, at most
_OBJECT = ""  # stands for a referring expression among the other words
_ASKING = frozenset(("is", "are", "was", "do", "does", "did", "can", "could", "would", "will", "has", "have"))
_INTERROGATIVE = (
    lexicon.QUESTION | lexicon.COUNT | lexicon.LOCATE | lexicon.SEARCH | lexicon.DESCRIBE | {"any", "if", "whether"}
)
_DOUBTFUL = frozenset(("any", "whether", "anything", "yes", "y", "is"))
_CUES = frozenset(("many", "any", "no", "some", "that"))  # determiners that belong to the question, not to its object
_KEYWORDS = (
    lexicon.COUNT | lexicon.LOCATE | lexicon.SEARCH | lexicon.PRESENCE | lexicon.MORE | lexicon.FEWER | lexicon.COMPARED
    | lexicon.SORT | lexicon.DESCRIBE
)  # fmt: skip
_VERBS = frozenset(("is", "are", "do", "does", "please"))
_ENDING = (_KEYWORDS - lexicon.PLACES - {"any"}) | lexicon.QUESTION | lexicon.TIMES | _VERBS  # no part of a place
_KNOWN = (
    _KEYWORDS | lexicon.NEUTRAL | lexicon.STANDING | lexicon.SEE | lexicon.THINGS | lexicon.QUESTION
    | EXTREMES
) - lexicon.UNANSWERABLE  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """A question recognised by its keywords.

    Attributes:
        kind: The kind of question.
        phrase: The object in question, or "".
        other: The object it is compared with, or "".
        word: "more" or "fewer", or "".
        place: The place that the question is restricted to, which is not considered, or "".
    """

    kind: Kind
    phrase: str = ""
    other: str = ""
    word: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause of a longer text.

    Attributes:
        ways: The clause, and parts of it that may be its question.
        category: The category that another clause mentions, if it mentions none itself.
        asks: Whether it asks something.
        foreign: Whether it asks something in words that are not known.
    """

    ways: tuple[str, ...]
    category: str
    asks: bool
    foreign: bool


def read_keywords(words: str, vocabulary: Vocabulary) -> Reading | None:
    """Recognise normalised words by keywords; None if a word is unknown or no keyword tells the kind of question."""
    words = with_extremes(" ".join(lexicon.PHRASES.sub(" ", words).split()))
    found, tokens = _expressions(words.split(), vocabulary)
    if not found:
        return _whole_image(tokens)
    drawn = lexicon.DRAW.intersection(tokens) and not lexicon.SHAPES.intersection(tokens)  # "draw me a ship"
    found, tokens, place = _without_places(found, tokens)
    said = frozenset(tokens)
    if not (found and said <= _KNOWN | {_OBJECT}) or said & lexicon.NEAR:
        return None
    if len(found) == 2:
        return _comparison(found, tokens, said)
    if len(found) > 2 or said & (lexicon.MORE | lexicon.FEWER | lexicon.DESCRIBE | lexicon.SORT - {"label"}):
        return None
    kind = _about_object(tokens, said)
    if kind is None or (kind is Kind.REFER and drawn):
        return None
    phrase = found[0]
    if extreme := next((word for word in tokens if word in EXTREMES), ""):
        phrase = f"the {extreme} {phrase}"
    elif place and kind is Kind.REFER:
        phrase = _all(phrase, vocabulary)
    return Reading(kind, phrase, place=place)


def clauses(text: str, vocabulary: Vocabulary) -> Iterator[Clause]:
    """Yield the clauses of a text, if they are about one kind of object."""
    parts = [part.strip() for part in _SEPARATOR.split(text) if part.strip()]
    words = [respelled(normalise(part), vocabulary.categories) for part in parts]
    named = [_categories(each, vocabulary) for each in words]
    if len(set().union(*named)) > 1 and sum(map(bool, named)) > 1:  # a list of objects, or questions about several
        return
    category = next((next(iter(names)) for names in named if len(names) == 1), "")
    for part, said, names in zip(parts, words, named, strict=True):
        ways = [part, part[found.end() :] if (found := _EMBEDDED.match(part)) else "", _PURPOSE.sub("", part)]
        asks = _asks(said.split())
        foreign = asks and not frozenset(_expressions(said.split(), vocabulary)[1]) <= _KNOWN | {_OBJECT}
        yield Clause(tuple(dict.fromkeys(filter(None, ways))), "" if names else category, asks, foreign)


def _categories(words: str, vocabulary: Vocabulary) -> set[str]:
    """Return the categories that normalised words mention."""
    read = (read_expression(phrase, vocabulary.categories) for phrase in _expressions(words.split(), vocabulary)[0])
    return {found.category for found in read if isinstance(found, Expression)}


def _asks(words: Sequence[str]) -> bool:
    return bool(_INTERROGATIVE.intersection(words) or _ASKING.intersection(words[:1]))


def _expressions(words: Sequence[str], vocabulary: Vocabulary) -> tuple[list[str], list[str]]:
    """Return the referring expressions, the longest from the left, and all words with "" in their places."""
    names = words_of(vocabulary.categories)
    found: list[str] = []
    tokens: list[str] = []
    start = 0
    while start < len(words):
        end = min(len(words), start + _LONGEST)
        if words[start] in _CUES or names.isdisjoint(words[start:end]):
            end = start
        while end > start and not _is_expression(" ".join(words[start:end]), vocabulary):
            end -= 1
        if end > start:
            found.append(" ".join(words[start:end]))
        tokens.append(_OBJECT if end > start else words[start])
        start = max(end, start + 1)
    return found, tokens


@lru_cache(maxsize=4096)
def _is_expression(phrase: str, vocabulary: Vocabulary) -> bool:
    return isinstance(read_expression(phrase, vocabulary.categories, colours=vocabulary.colours), Expression)


def _all(phrase: str, vocabulary: Vocabulary) -> str:
    """Return the expression for all objects of a phrase's category."""
    read = read_expression(phrase, vocabulary.categories)
    return f"all {plural(read.category)}" if isinstance(read, Expression) and read.plain else phrase


def _without_places(found: list[str], tokens: list[str]) -> tuple[list[str], list[str], str]:
    """Return expressions and words without the places after prepositions, and the first of these places."""
    kept: list[str] = []
    left = list(found)
    expressions: list[str] = []
    place = ""
    start = 0
    while start < len(tokens):
        end = _end_of_place(tokens, start, _OBJECT in kept)
        if end > start:
            names = [left.pop(0) if token == _OBJECT else token for token in tokens[start:end]]
            place = place or " ".join(names)
        else:
            end = start + 1
            expressions += [left.pop(0)] if tokens[start] == _OBJECT else []
            kept.append(tokens[start])
        start = end
    return expressions, kept, place


def _end_of_place(tokens: Sequence[str], start: int, after_object: bool) -> int:
    """Return where a place that begins at `start` ends; `start` itself if none does.

    An object is a place only after another: "cars on the overpass", but "boxes around the cars".
    """
    before = tokens[start - 1] if start else ""
    if tokens[start] in lexicon.PLACES and start and before in lexicon.NEUTRAL - {"i", "we", "you", "can", "to"}:
        return start + 1
    if tokens[start] not in lexicon.PREPOSITIONS:
        return start
    end, foreign = start + 1, 0
    while end < len(tokens) and foreign < _FOREIGN:
        token = tokens[end]
        if token == _OBJECT:
            return end + 1 if after_object else start
        if token in _ENDING:
            break
        foreign += token not in lexicon.NEUTRAL
        end += 1
        if token in lexicon.PLACES and not lexicon.PLACES.intersection(tokens[end : end + 1]):
            break
    return end if foreign else start


def _comparison(found: Sequence[str], tokens: Sequence[str], said: frozenset[str]) -> Reading | None:
    if not said & (lexicon.MORE | lexicon.FEWER):
        return None
    first, second = found[::-1] if tokens[0] == "compared" or "outnumbered" in said else found
    return Reading(Kind.COMPARISON, first, second, "fewer" if said & lexicon.FEWER else "more")


def _about_object(tokens: Sequence[str], said: frozenset[str]) -> Kind | None:
    after = {tokens[i + 1] for i, word in enumerate(tokens[:-1]) if word == "how"}
    priced = "much" in after and tokens[tokens.index("much") + 1 :][:1] != [_OBJECT]  # "how much are the boats"
    if after - {"many", "much"} or priced:
        return None
    yes_or_no = bool(_ASKING.intersection(tokens[:1]) or said & _DOUBTFUL)
    if said & {"if", "whether"} and not said & ({"where", "show"} | lexicon.COUNT):
        kind = Kind.PRESENCE
    elif "much" in after or said & lexicon.COUNT:
        kind = Kind.REFER if "where" in said else Kind.COUNT
    elif said & (lexicon.LOCATE - lexicon.PRESENCE) or said & EXTREMES:
        kind = Kind.REFER
    elif said & lexicon.SEARCH:
        kind = Kind.PRESENCE if yes_or_no else Kind.REFER
    elif said & lexicon.QUESTION or not (yes_or_no or said & lexicon.PRESENCE):
        return None
    else:
        kind = Kind.PRESENCE if yes_or_no or not said & {"show", "shows"} else Kind.REFER
    return kind


def _whole_image(tokens: Sequence[str]) -> Reading | None:
    said = frozenset(tokens)
    known = _KNOWN | lexicon.ABOUT | lexicon.PLACE | lexicon.PLACES
    if not said <= known or said & ((lexicon.COUNT - {"sum"}) | EXTREMES | lexicon.MORE):
        return None
    sorted_ = said & lexicon.SORT and said & (lexicon.PLACE | lexicon.PLACES | {"image", "this", "it", "here", "these"})
    located = said & (lexicon.LOCATE - {"show", "shows", "showing", "which", "label"})
    asked = said & lexicon.DESCRIBE or (said & lexicon.OPEN and said & (lexicon.SEE | lexicon.THINGS))
    if sorted_ and not said & (lexicon.THINGS | lexicon.GROUNDED):
        return Reading(Kind.SCENE)
    boxed = located and said & (lexicon.THINGS | lexicon.DESCRIBE)
    if said & lexicon.GROUNDED or boxed or (asked and "where" in said):
        return Reading(Kind.GROUNDING)
    return Reading(Kind.CAPTION) if asked else None
