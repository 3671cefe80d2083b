"""Samples of every dialect, and texts made of their pieces."""

import random

import pytest

from geochat.dialects import find_dialect, merge_text, names_of_dialects
from geochat.geometry import OrientedBox

NOISE = (
    *(" ", "\n", ",", ", ", " and ", ";", "ship", "The image", "3", "12", "-5", ".5", "[", "]", "[[", "]]", "{", "}"),
    *("(", ")", "<", ">", "|", "&lt;", '"', "'", "\\", "é", "船", "²", "\x00", "```", "```json", "null", "\t"),
    *("x" * 60, "0" * 40),
)


@pytest.fixture(params=names_of_dialects())
def dialect(request):
    """Each dialect in turn."""
    return find_dialect(request.param)


@pytest.fixture(scope="session")
def samples():
    """`samples(dialect)` are texts as it writes them: a named pair, one region, and two phrases in a sentence."""

    def written(dialect):
        unit = (dialect.model_frame.scale or 1000) / 100
        ships = (
            OrientedBox(10 * unit, 20 * unit, 50 * unit, 30 * unit, 30),
            OrientedBox(*(60 * unit,) * 2, *(80 * unit,) * 2),
        )
        return (
            dialect.write("2 ships", ships),
            dialect.write_box(ships[0]),
            dialect.write_all([("a ship", ships[:1]), ("a car", ships)], inline=True),
        )  # fmt: skip

    return written


@pytest.fixture(scope="session")
def garbled():
    """`garbled(rng, samples)` is a text of whole, cut and spoilt samples and of noise."""

    def text(rng: random.Random, samples):
        parts = []
        for _ in range(rng.randint(1, 6)):
            sample, chance = rng.choice(samples), rng.random()
            start = rng.randint(0, len(sample)) if chance < 0.45 else 0
            end = rng.randint(start, len(sample)) if chance < 0.45 else len(sample)
            parts.append(sample[start:end] if chance < 0.6 else rng.choice(NOISE))
        whole = "".join(parts)
        place = rng.randrange(len(whole)) if whole and rng.random() < 0.3 else None
        return whole if place is None else whole[:place] + rng.choice(NOISE) + whole[place + rng.randint(0, 3) :]

    return text


@pytest.fixture(scope="session")
def streamed():
    """`streamed(dialect, pieces)` are the events of a text that arrives in pieces, neighbouring words joined."""

    def events(dialect, pieces):
        reader = dialect.reader()
        return tuple(merge_text([event for piece in pieces for event in reader.feed(piece)] + reader.close()))

    return events
