"""The hand-written ways of asking, from `paraphrases.txt`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from geochat.prompts.phrases import plural, with_article


@dataclass(frozen=True)
class Paraphrases:
    """The ways of asking for one intent.

    Attributes:
        trained: Those training draws from.
        held_out: Those it never reads.
    """

    trained: tuple[str, ...]
    held_out: tuple[str, ...]


@cache
def paraphrases() -> Mapping[str, Paraphrases]:
    """All ways of asking, by intent: "count", "presence", "refer", "refer all", "caption", ..."""
    text = files(__package__).joinpath("paraphrases.txt").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    mine: list[str] = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.startswith("["):
            mine = found.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            mine.append(line)
    return MappingProxyType(
        {
            intent: Paraphrases(
                tuple(line for line in lines if not line.startswith("~")),
                tuple(line[1:] for line in lines if line.startswith("~")),
            )
            for intent, lines in found.items()
        }
    )


def asked(words: str, name: str, other: str = "") -> str:
    """A way of asking about objects of a name, such as "ship"."""
    return words.format(name=name, one=with_article(name), many=plural(name), others=plural(other) if other else "")
