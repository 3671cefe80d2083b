"""Correction of slips in the words that name objects and kinds of question."""

from functools import lru_cache

from geochat.prompts import lexicon
from geochat.prompts.phrases import plural
from geochat.prompts.synonyms import NOUNS

_CORRECTED = 5  # letters of the shortest word whose spelling is corrected


@lru_cache(maxsize=16)
def words_of(categories: tuple[str, ...]) -> frozenset[str]:
    """Return the words of the names of categories, singular and plural."""
    rows = (next((row for row in NOUNS if category in row), (category,)) for category in categories)
    return frozenset(word for row in rows for name in row for form in (name, plural(name)) for word in form.split())


@lru_cache(maxsize=1024)
def respelled(words: str, categories: tuple[str, ...]) -> str:
    """Correct a wrong, missing, added or swapped letter in each long word of a question.

    Args:
        words: Normalised words.
        categories: The categories whose names may be misspelt.
    """
    targets = words_of(categories) | lexicon.CORRECTED
    right = targets | lexicon.ALL | lexicon.REAL
    longer = sorted(word for word in targets if len(word) >= _CORRECTED)
    return " ".join(
        word if word in right else next((target for target in longer if _one_slip(word, target)), word)
        for word in words.split()
    )


def _one_slip(typed: str, meant: str) -> bool:
    """Return whether one letter is wrong, missing, added or swapped with its neighbour, not the first."""
    if typed[:1] != meant[:1] or abs(len(typed) - len(meant)) > 1:
        return False
    same = next((i for i, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    rest, other = typed[same:], meant[same:]
    if len(typed) != len(meant):
        shorter, longer = sorted((rest, other), key=len)
        return longer[1:] == shorter
    swapped = rest[1:2] + rest[:1] + rest[2:] == other
    return swapped or (len(meant) > _CORRECTED and rest[1:] == other[1:])
