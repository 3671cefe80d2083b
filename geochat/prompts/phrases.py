"""Comparison of phrases by meaning: ignoring articles, counts, plurals, modifiers and synonyms.

Used to check an answer against its question ("a submarine" is not "the building"), to match a model's text to the
offered classes, and to find the category that a user means. Nothing here raises.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from geochat.prompts.synonyms import (
    AFTER_NOUN,
    ANYTHING,
    AREA,
    BROADER,
    COLOURS,
    DENSITIES,
    DETERMINERS,
    EXTREMES,
    GROUPS,
    IRREGULAR,
    NOUNS,
    NUMBERS,
    PLACE_WORDS,
    PLACES_OF,
    SIZES,
    SPELLINGS,
    STATES,
)

_CONTRACTIONS = (
    (re.compile(r"[`´‘’ʼ]"), "'"),
    (re.compile(r"\b(what|where|who|how|that|there)'?s\b"), r"\1 is"),
    (re.compile(r"\b(it|here|which)'s\b"), r"\1 is"),
    (re.compile(r"\b(what|where|who|how|there|they|you|we)'re\b"), r"\1 are"),
    (re.compile(r"\bi'(m|d|ve|ll)\b"), r"i \1"),
    (re.compile(r"\b(is|are|does|do|was)n'?t\b"), r"\1"),
    (re.compile(r"'s\b"), ""),
)
_NOT_WORDS = re.compile(r"[\W_]+")
_CLAUSE = re.compile(r"[,.;:!\n]")
_PARTS = re.compile(r",|;|\band\b|\bor\b")
_SINGULARS = {many: one for one, many in IRREGULAR.items()}
_SHOWN = 60  # characters of a person's words in a sentence, at most
_NAMES = {form: row[0] for row in NOUNS for form in row}
_LONGEST_NAME = max(len(form.split()) for form in _NAMES)
_LONG = 100  # characters, at most, of a name
_MODIFIERS = DETERMINERS | NUMBERS | COLOURS | SIZES | PLACE_WORDS | EXTREMES | STATES


def normalise(text: str) -> str:
    """Return the words of a text in lower case and American spelling, without punctuation or contractions."""
    text = unicodedata.normalize("NFKC", text).lower()
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    return " ".join(SPELLINGS.get(word, word) for word in _NOT_WORDS.sub(" ", text).split())


def singular(noun: str) -> str:
    """Return the singular of a noun, which may be several words: "storage tanks" gives "storage tank"."""
    first, last = noun[: noun.rfind(" ") + 1], noun[noun.rfind(" ") + 1 :]
    if last in _SINGULARS:
        return first + _SINGULARS[last]
    if last in IRREGULAR or len(last) < 3 or not last.endswith("s") or last.endswith(("ss", "us", "is")):
        return noun
    if last.endswith("ies") and len(last) > 4:
        return noun[:-3] + "y"
    if last.endswith(("sses", "xes", "ches", "shes", "zzes")):
        return noun[:-2]
    return noun[:-1]


def plural(noun: str) -> str:
    """Return the plural of a noun, which may be several words; a plural is unchanged."""
    noun = singular(noun)
    first, last = noun[: noun.rfind(" ") + 1], noun[noun.rfind(" ") + 1 :]
    if last in IRREGULAR:
        return first + IRREGULAR[last]
    if last.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if last.endswith("y") and last[-2:-1] not in {"a", "e", "i", "o", "u", ""}:
        return noun[:-1] + "ies"
    return noun + "s"


def with_article(noun: str) -> str:
    """Return the noun with "a" or "an"."""
    return f"{'an' if noun[:1] in {'a', 'e', 'i', 'o', 'u'} else 'a'} {noun}"


def quoted(words: str) -> str:
    """Quote a user's words, shortened to fit a sentence."""
    shown = words if len(words) <= _SHOWN else words[:_SHOWN].rsplit(" ", 1)[0]
    return f'"{shown}"'


def head_noun(phrase: str) -> str:
    """Return the singular head noun of a phrase as written, or "": "two planes on the left" gives "plane"."""
    words = normalise(phrase).split()
    while words:
        start = next((i for i, word in enumerate(words) if not _modifies(word)), len(words))
        words = words[start:]
        if words[1:2] == ["of"] and singular(words[0]) in GROUPS:
            words = words[2:]
        elif words[:1] == ["of"]:
            words = words[1:]
        else:
            break
    end = next((i for i, word in enumerate(words) if word in AFTER_NOUN or word == "of"), len(words))
    return singular(" ".join(words[:end]))


def canonical(noun: str) -> str:
    """Return the common name of a noun's synonyms, in the singular; the noun itself if none is known."""
    noun = singular(normalise(noun))
    return _NAMES.get(noun, noun)


def category_of(words: str, categories: Iterable[str]) -> str | None:
    """Return the one of `categories` that a noun names, by itself, its plural or a synonym; None for none or several.

    Articles and counts before the noun are ignored, other words are not: "passenger planes" is not "airplane".
    """
    noun = _without_determiners(words)
    return _only(categories, lambda name: _name(name).words == singular(noun)) or _only(
        categories, lambda name: _name(name).noun == _name(noun).noun
    )


def same_thing(asked: str, named: str) -> bool:
    """Return whether the phrase of an answer means the requested object.

    Articles, counts, plurals, modifiers of colour, size and place and synonyms make no difference, nor does a more
    specific noun ("court", "tennis court"). If `asked` names no kind ("the largest one"), any phrase matches.
    """
    answered = _core(named)
    return any(_same(_core(part), answered, part) for part in _PARTS.split(normalise(asked)) if part.strip()) or (
        not normalise(asked)
    )


def match_choice(answer: str, choices: Sequence[str]) -> str | None:
    """Return the one of `choices` that an answer means; None if none matches, or several match equally.

    Tried in this order: the same words; the same words up to the first punctuation mark ("Yes, there is."); the same
    noun by plural or synonym; the same kind of place ("airplane", "airport"; "dense residential", "residential").
    """
    said, opening = _name(answer), _name(_CLAUSE.split(answer.strip(), maxsplit=1)[0])
    if not said.words:
        return None
    for wanted in (said.words, opening.words):
        if found := next((choice for choice in choices if _name(choice).words == wanted), None):
            return found
    return (
        _only(choices, lambda choice: _name(choice).noun == said.noun)
        or _only(choices, lambda choice: _name(choice).place == said.place)
        or _only(choices, lambda choice: not said.kinds.isdisjoint(_name(choice).kinds))
    )


def aliases_of(choice: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names in `known` that an offered answer stands for; none if nothing matches.

    Tried in this order: the same words; the same noun by plural or synonym; the same kind of place, of which there may
    be several ("residential" stands for "dense residential" and "sparse residential").
    """
    offered = _name(choice)
    tests: tuple[Callable[[_Name], bool], ...] = (
        lambda name: name.words == offered.words,
        lambda name: name.noun == offered.noun,
        lambda name: name.place == offered.place,
        lambda name: not name.kinds.isdisjoint(offered.kinds),
    )
    found = (tuple(name for name in known if fits(_name(name))) for fits in tests)
    return next((names for names in found if names), ())


class _Name(NamedTuple):
    """Other names of a class or an answer."""

    words: str
    noun: str
    place: str
    kinds: frozenset[str]


@lru_cache(maxsize=4096)
def _short_name(text: str) -> _Name:
    place = _place(_without_determiners(text))
    return _Name(normalise(text), canonical(_without_determiners(text)), place, _kinds(place))


def _name(text: str) -> _Name:
    """Return the names of a text; for a long text, its words alone."""
    if len(text) <= _LONG:
        return _short_name(text)
    words = normalise(text)
    return _Name(words, words, words, frozenset((words,)))


def _modifies(word: str) -> bool:
    return word in _MODIFIERS or word in AFTER_NOUN or word.isdigit()


def _without_determiners(words: str) -> str:
    """Return the words without leading articles and counts; all of them if nothing else would be left."""
    found = normalise(words).split()
    start = next((i for i, w in enumerate(found) if w not in DETERMINERS | NUMBERS and not w.isdigit()), 0)
    return " ".join(found[start:])


def _only(choices: Iterable[str], fits: Callable[[str], bool]) -> str | None:
    """Return the single matching choice."""
    found = [choice for choice in choices if fits(choice)]
    return found[0] if len(found) == 1 else None


def _core(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase's noun; its longest known ending is replaced by the common name of its synonyms."""
    words = head_noun(phrase).split()
    if not words or words[-1] in ANYTHING:
        return ()
    for length in range(min(len(words), _LONGEST_NAME), 0, -1):
        if name := _NAMES.get(" ".join(words[-length:])):
            return (*words[:-length], *name.split())
    return tuple(words)


def _same(asked: tuple[str, ...], answered: tuple[str, ...], words: str) -> bool:
    if not asked or not answered:
        return not asked
    shorter, longer = sorted((asked, answered), key=len)
    if longer[-len(shorter) :] == shorter:
        return True
    return " ".join(answered) in BROADER.get(head_noun(words), ())


def _place(name: str) -> str:
    """Return the name of a kind of place without words such as "area"."""
    words = normalise(name).split()
    while len(words) > 1 and words[-1] in AREA:
        words.pop()
    return canonical(" ".join(words))


def _kinds(place: str) -> frozenset[str]:
    """Return the possible names of a kind of place: its contents, without density words."""
    words = place.split()
    while len(words) > 1 and words[0] in DENSITIES:
        words.pop(0)
    bare = " ".join(words)
    return frozenset({place, bare} | {other for pair in PLACES_OF if bare in pair for other in pair})
