"""Conversations about an image: several independent questions, or a dialogue whose questions build on one another.

`AnswerBalance` prevents short answers from being guessed by frequency: in a data set most images hold one or two
objects of a category, and the category of a question is more often present than absent.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from geochat.dialects import Dialect
from geochat.errors import SettingsError
from geochat.prompts import Task
from geochat.prompts.phrases import plural, with_article
from geochat_data.questions import wordings
from geochat_data.questions.builders import (
    caption,
    colour,
    comparison,
    count,
    grounding,
    identify,
    negative,
    position,
    presence,
    refer,
    scene,
)
from geochat_data.questions.expressions import Expression, expressions, part_of
from geochat_data.questions.subject import MAX_COUNT, NUMBERS, QAPair, Subject
from geochat_data.questions.wordings import WordingPool
from geochat_data.readers.scene_folders import UCM_SCENES
from geochat_data.records import LabelledImage

SLACK = 6  # answers accepted beyond the limits
ABSENT_REFERRED = 0.25  # greatest share of referring questions that ask for an absent category
NEGATIVES = 0.12  # greatest share of all questions that presuppose an absent category
_LEAD = {"presence": 1.05, "comparison": 1.05, "count": 1.8, "position": 1.5, "colour": 2.0}
"""Greatest frequency of an answer, relative to the mean of the answers to its kind of question."""


class AnswerBalance:
    """Counts of the answers accepted so far, by kind of question.

    A pair is rejected if its answer is well ahead of the other answers to its kind of question, or if questions about
    absent categories have become too frequent.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)

    def accept(self, turn: QAPair) -> bool:
        """Return whether to keep a pair, which is then counted."""
        answer = ("there" if turn.grounded else "absent") if turn.task is Task.REFER else turn.answer
        counts = self.counts[turn.kind]
        if counts[answer] >= SLACK + self._most(turn.kind, answer):
            return False
        counts[answer if turn.kind in _LEAD or turn.task is Task.REFER else ""] += 1
        return True

    def _most(self, kind: str, answer: str) -> float:
        counts = self.counts[kind]
        if kind in _LEAD:
            return _LEAD[kind] * counts.total() / max(2, len(counts))
        if kind == "refer" and answer == "absent":
            return ABSENT_REFERRED * counts.total()
        if kind == "negative":
            every = sum(count.total() for count in self.counts.values())
            return NEGATIVES * every - counts.total()
        return float("inf")


_BUILDERS: dict[str, Callable[[Subject], QAPair | None]] = {
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
_MOST_TURNS = {"scene": 2, "caption": 2}  # questions about an image that may differ in wording alone


def build_conversation(
    image: LabelledImage,
    rng: random.Random,
    *,
    dialect: Dialect,
    turns: int = 6,
    shares: Mapping[str, float] = DEFAULT_SHARES,
    scenes: Sequence[str] = UCM_SCENES,
    wording: WordingPool = "published",
    rich: bool = False,
    balance: AnswerBalance | None = None,
) -> tuple[QAPair, ...]:
    """Build up to `turns` different questions about an image, fewer if its labels support no more.

    Args:
        image: The image.
        rng: The source of randomness; the same state gives the same questions.
        dialect: The dialect of the checkpoint.
        turns: Greatest number of questions.
        shares: Relative frequency with which each kind of question is tried.
        scenes: The scene classes to choose between.
        wording: The wordings to draw from; "held out" ones are for evaluation.
        rich: Whether referring expressions may use colours and relations too.
        balance: Rejects answers that have become too frequent over the data set.

    Raises:
        SettingsError: `shares` names an unknown kind of question or `turns` is not positive.
    """
    if unknown := shares.keys() - _BUILDERS.keys():
        raise SettingsError(f"no question is of the kind {sorted(unknown)}; choose from {', '.join(_BUILDERS)}")
    if turns < 1:
        raise SettingsError(f"turns must be at least 1, not {turns}")
    subject = Subject(image, rng, dialect, scenes, wording, rich)
    kinds, weights = list(shares), list(shares.values())
    asked: dict[Hashable, QAPair] = {}
    made: Counter[str] = Counter()
    for kind in rng.choices(kinds, weights, k=4 * turns):
        turn = _BUILDERS[kind](subject) if made[kind] < _MOST_TURNS.get(kind, turns) else None
        if turn is None:
            continue
        turn = replace(turn, kind=kind)
        # With one wording, questions differ if their texts do; with several, equal questions may differ in wording.
        topic = turn.question if wording == "published" else (kind, turn.about)
        if topic not in asked and (balance is None or balance.accept(turn)):
            asked[topic] = turn
            made[kind] += 1
        if len(asked) == turns:
            break
    return tuple(asked.values())


_THEM = ("Where are they?", "Show me where they are.", "Can you locate them?")
_IT = ("Where is it?", "Show me where it is.", "Can you locate it?")


def build_dialogue(
    image: LabelledImage,
    rng: random.Random,
    *,
    dialect: Dialect,
    wording: WordingPool = "varied",
) -> tuple[QAPair, ...]:
    """Build a dialogue of three to five turns about one category; empty if the labels do not support one.

    Later questions say "they" and "one", and cannot be answered without the earlier turns: how many objects there are,
    where they are, what the largest looks like, whether something else is near.

    Args:
        image: The image.
        rng: The source of randomness.
        dialect: The dialect of the checkpoint.
        wording: The wordings that the first question is drawn from.
    """
    subject = Subject(image, rng, dialect, wording=wording)
    choices = [c for c in subject.present if c in subject.countable and len(subject.members(c)) <= MAX_COUNT]
    if not choices:
        return ()
    turns = tuple(_dialogue(subject, rng.choice(choices)))
    return turns if len(turns) > 2 else ()


def _dialogue(subject: Subject, category: str) -> Iterator[QAPair]:
    rng, members = subject.rng, subject.members(category)
    many = len(members) > 1
    question = subject.word(wordings.COUNT).format(many=plural(category))
    noun = plural(category) if many else category
    answer = f"There {'are' if many else 'is'} {NUMBERS[len(members)]} {noun} in the image."
    yield QAPair(question, answer, Task.CHAT, "dialogue")
    phrase = f"all {plural(category)}" if many else f"the {category}"
    boxes = subject.dialect.write(phrase, subject.boxes(members))
    token = subject.dialect.wordings.tokens.get(Task.REFER, "")
    yield QAPair(f"{token} {rng.choice(_THEM if many else _IT)}".strip(), boxes, Task.REFER, "dialogue")
    yield from _details(subject, category, many)
    if subject.absent:
        other = rng.choice(subject.absent)
        question = f"Is there {with_article(other)} near {'them' if many else 'it'}?"
        yield QAPair(question, f"No, there is no {other} in the image.", Task.CHAT, "dialogue")


def _details(subject: Subject, category: str, many: bool) -> Iterator[QAPair]:
    """Ask for the place and the colour of the only object, or of the largest."""
    wanted = f"the largest {category}" if many else f"the {category}"
    found: list[Expression] = [e for e in expressions(subject, category) if e.phrase == wanted]
    if not found:
        return
    one = "the largest one" if many else "it"
    place = part_of(subject, found[0].objects[0])
    if place:
        question = f"In which part of the image is {one}?"
        yield QAPair(question, f"It is {place} of the image.", Task.CHAT, "dialogue")
    if name := subject.colour(found[0].objects[0]):
        yield QAPair(f"What color is {'it' if place else one}?", f"It is {name}.", Task.CHAT, "dialogue")
