"""Packing several questions about one image into a conversation."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from geochat.dialects import Dialect
from geochat.errors import SettingsError
from geochat_data.questions.about_counts import comparison, count, presence
from geochat_data.questions.about_image import caption, scene
from geochat_data.questions.about_objects import colour, negative, position
from geochat_data.questions.about_regions import grounding, identify, refer
from geochat_data.questions.balance import Balance
from geochat_data.questions.conversation import Conversation, Turn
from geochat_data.questions.subject import Subject
from geochat_data.questions.wordings import Choice
from geochat_data.readers.ucm import UCM_SCENES
from geochat_data.records import LabelledImage

_BUILDERS: dict[str, Callable[[Subject], Turn | None]] = {
    "scene": scene,
    "caption": caption,
    "presence": presence,
    "count": count,
    "comparison": comparison,
    "identify": identify,
    "refer": refer,
    "grounding": grounding,
    "position": position,
    "colour": colour,
    "negative": negative,
}
DEFAULT_SHARES: Mapping[str, float] = MappingProxyType(
    {
        "scene": 1.5,
        "caption": 1.5,
        "presence": 1.0,
        "count": 1.0,
        "comparison": 0.6,
        "identify": 1.0,
        "refer": 3.0,
        "grounding": 1.0,
    }
)
FULL_SHARES: Mapping[str, float] = MappingProxyType({**DEFAULT_SHARES, "position": 0.8, "colour": 0.6, "negative": 0.6})
_MOST = {"scene": 2, "caption": 2}  # turns of a conversation that may differ in wording alone


def build_conversation(
    image: LabelledImage,
    rng: random.Random,
    *,
    dialect: Dialect,
    turns: int = 6,
    shares: Mapping[str, float] = DEFAULT_SHARES,
    scenes: Sequence[str] = UCM_SCENES,
    wording: Choice = "published",
    rich: bool = False,
    balance: Balance | None = None,
) -> Conversation:
    """Up to `turns` different questions about an image, fewer where its labels offer no more.

    Args:
        image: What is asked about.
        rng: Where all chance comes from; the same state gives the same conversation.
        dialect: How the checkpoint is asked and writes regions.
        turns: The most turns wanted.
        shares: How often each kind of question is tried, relative to the others.
        scenes: The scene classes to choose between.
        wording: Which wordings to draw from; "held out" ones are for measuring.
        rich: Whether referring expressions may speak of colours and relations too.
        balance: Turns down answers that have become too frequent over the data set.

    Raises:
        SettingsError: `shares` names an unknown kind of question or `turns` is not positive.
    """
    if unknown := shares.keys() - _BUILDERS.keys():
        raise SettingsError(f"no question is of the kind {sorted(unknown)}; choose from {', '.join(_BUILDERS)}")
    if turns < 1:
        raise SettingsError(f"turns must be at least 1, not {turns}")
    subject = Subject(image, rng, dialect, scenes, wording, rich)
    kinds, weights = list(shares), list(shares.values())
    asked: dict[Hashable, Turn] = {}
    made: Counter[str] = Counter()
    for kind in rng.choices(kinds, weights, k=4 * turns):
        turn = _BUILDERS[kind](subject) if made[kind] < _MOST.get(kind, turns) else None
        if turn is None:
            continue
        turn = replace(turn, kind=kind)
        # With one wording a question differs when its text does; with many the same may be asked in other words.
        topic = turn.question if wording == "published" else (kind, turn.about)
        if topic not in asked and (balance is None or balance.accept(turn)):
            asked[topic] = turn
            made[kind] += 1
        if len(asked) == turns:
            break
    return Conversation(image, tuple(asked.values()))
