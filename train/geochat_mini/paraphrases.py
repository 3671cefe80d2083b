"""The handwritten paraphrases of questions in `paraphrases.txt`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from geochat.prompts.phrases import plural, with_article


@dataclass(frozen=True)
class Paraphrases:
    """The paraphrases of one intent.

    Attributes:
        trained: Paraphrases used in training.
        held_out: Paraphrases that training never uses.
    """

    trained: tuple[str, ...]
    held_out: tuple[str, ...]


@cache
def paraphrases() -> Mapping[str, Paraphrases]:
    """Return all paraphrases by intent: "count", "presence", "refer", "refer all", "caption", ..."""
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
    """Return a paraphrase with the name of objects, such as "ship"."""
    return words.format(name=name, one=with_article(name), many=plural(name), others=plural(other) if other else "")
