"""The handwritten turns of `spoken.txt`, and the prompts of `prompts.txt`."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

Place = Literal["image", "text", "any"]


@dataclass(frozen=True)
class Topic:
    """Phrasings of one request, and answers that fit each of them.

    Attributes:
        place: Whether it belongs into a conversation about an image, about none, or both.
        questions: The ways of asking.
        answers: The answers.
    """

    place: Place
    questions: tuple[str, ...]
    answers: tuple[str, ...]

    def draw(self, rng: random.Random) -> tuple[str, str]:
        """Draw a question and an answer."""
        return rng.choice(self.questions), rng.choice(self.answers)


@cache
def topics(place: Place) -> tuple[Topic, ...]:
    """Return the topics of one place, and those of any."""
    return tuple(topic for topic in _topics() if topic.place in (place, "any"))


@cache
def prompts() -> tuple[tuple[str, ...], ...]:
    """Return SmolLM2's prompts: conversations, each of one or more questions."""
    return tuple(tuple(block) for block in _blocks("prompts.txt"))


def _topics() -> Iterator[Topic]:
    for place, *lines in _blocks("spoken.txt"):
        asked = tuple(line[2:] for line in lines if line.startswith("? "))
        answers = tuple(line[2:] for line in lines if line.startswith("! "))
        assert len(asked) + len(answers) == len(lines), lines
        yield Topic(place.strip("[]"), asked, answers)  # type: ignore[arg-type]


def _blocks(name: str) -> Iterator[list[str]]:
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    for block in text.split("\n\n"):
        if lines := [line for line in block.splitlines() if line and not line.startswith("#")]:
            yield lines
