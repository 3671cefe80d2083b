"""Conversations whose questions build on the answers before them, as people talk.

How many there are, where they are, what the largest looks like, whether something else is about: later questions say
"they" and "one" and cannot be answered without the earlier turns.
"""

import random
from collections.abc import Iterator

from geochat.dialects import Dialect
from geochat.prompts import Task
from geochat.prompts.phrases import with_article
from geochat_data.questions import wordings
from geochat_data.questions.conversation import Conversation, Turn
from geochat_data.questions.expressions import Expression, expressions, part_of
from geochat_data.questions.subject import MAX_COUNT, NUMBERS, Subject, plural
from geochat_data.questions.wordings import Choice
from geochat_data.records import LabelledImage

_THEM = ("Where are they?", "Show me where they are.", "Can you locate them?")
_IT = ("Where is it?", "Show me where it is.", "Can you locate it?")


def build_dialogue(
    image: LabelledImage,
    rng: random.Random,
    *,
    dialect: Dialect,
    wording: Choice = "varied",
) -> Conversation | None:
    """A conversation of three to five turns about one category; None where the labels do not carry one.

    Args:
        image: What is talked about.
        rng: Where all chance comes from.
        dialect: How the checkpoint is asked and writes regions.
        wording: Which wordings the opening question is drawn from.
    """
    subject = Subject(image, rng, dialect, wording=wording)
    choices = [c for c in subject.present if c in subject.countable and len(subject.members(c)) <= MAX_COUNT]
    if not choices:
        return None
    turns = tuple(_talk(subject, rng.choice(choices)))
    return Conversation(image, turns, dependent=True) if len(turns) > 2 else None


def _talk(subject: Subject, category: str) -> Iterator[Turn]:
    rng, members = subject.rng, subject.members(category)
    many = len(members) > 1
    question = subject.word(wordings.COUNT).format(many=plural(category))
    noun = plural(category) if many else category
    answer = f"There {'are' if many else 'is'} {NUMBERS[len(members)]} {noun} in the image."
    yield Turn(question, answer, Task.CHAT, "dialogue")
    phrase = f"all {plural(category)}" if many else f"the {category}"
    boxes = subject.dialect.write(phrase, subject.boxes(members))
    token = subject.dialect.wordings.tokens.get(Task.REFER, "")
    yield Turn(f"{token} {rng.choice(_THEM if many else _IT)}".strip(), boxes, Task.REFER, "dialogue")
    yield from _details(subject, category, many)
    if subject.absent:
        other = rng.choice(subject.absent)
        question = f"Is there {with_article(other)} near {'them' if many else 'it'}?"
        yield Turn(question, f"No, there is no {other} in the image.", Task.CHAT, "dialogue")


def _details(subject: Subject, category: str, many: bool) -> Iterator[Turn]:
    """The place and the colour of the only one, or of the largest."""
    wanted = f"the largest {category}" if many else f"the {category}"
    found: list[Expression] = [e for e in expressions(subject, category) if e.phrase == wanted]
    if not found:
        return
    one = "the largest one" if many else "it"
    place = part_of(subject, found[0].objects[0])
    if place:
        question = f"In which part of the image is {one}?"
        yield Turn(question, f"It is {place} of the image.", Task.CHAT, "dialogue")
    if name := subject.colour(found[0].objects[0]):
        yield Turn(f"What color is {'it' if place else one}?", f"It is {name}.", Task.CHAT, "dialogue")
