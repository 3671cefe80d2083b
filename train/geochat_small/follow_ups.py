"""Follow-up questions: "and where are they?", "how many of them are white?".

They are asked only if the labels determine the answer: all objects of the category are marked and, for a colour, the
colour of each of them is clear.
"""

from collections import Counter

from geochat.prompts.phrases import plural
from geochat_data.questions import QAPair
from geochat_data.questions.subject import MAX_COUNT, Subject
from geochat_data.records import LabelledObject
from geochat_mini.orientation import LOOSE

_COUNT = ("how many are there?", "And how many of them are there?", "How many?", "can you count them")
_WHERE = ("Where are they?", "show them to me", "And where are they?", "mark them please")
_WHERE_ONE = ("Where is it?", "show it to me", "And where is it?", "mark it please")
_NONE = {"Are you sure?": "Yes", "So there are none?": "Yes", "not even one?": "No", "none at all?": "No"}
_DOUBTED = 0.3  # share of the answers that there is nothing that are doubted
_COLOUR = ("And how many of them are {colour}?", "how many are {colour}?", "How many of these are {colour}?")
_ONE_COLOUR = ("What colour is it?", "And its colour?", "which colour does it have")
_COLOURED = 0.5  # share of the follow-ups that look at colours, which costs time


def follow_ups(subject: Subject, pair: QAPair) -> list[tuple[str, str]]:
    """Build questions that follow a question about a category, each with its answer; none if the labels do not suffice.

    Args:
        subject: The view.
        pair: The question before; those about presence, numbers and all objects of a category are followed up.
    """
    name = _category(subject, pair)
    if name is None:
        return []
    things = subject.members(name)
    rng = subject.rng
    if not things:
        asked, word = rng.choice(list(_NONE.items()))
        return [(asked, f"{word}, I see no {name} in the image.")] if rng.random() < _DOUBTED else []
    found: list[tuple[str, str]] = []
    if pair.kind == "presence" and len(things) <= MAX_COUNT:
        found.append((rng.choice(_COUNT), f"There {'is 1' if len(things) == 1 else f'are {len(things)}'}."))
    if pair.kind != "refer" and len(things) <= MAX_COUNT and _exact(things):
        found.append(_where(subject, name, things))
    if rng.random() < _COLOURED and (coloured := _colour(subject, things)):
        found.append(coloured)
    chosen = rng.sample(range(len(found)), min(len(found), rng.randint(1, 2)))
    return [found[place] for place in sorted(chosen)]


def _category(subject: Subject, pair: QAPair) -> str | None:
    """Return the category of a question, if all its objects are marked."""
    name = pair.about
    if pair.kind == "refer":
        named = {f"all {plural(category)}": category for category in subject.present}
        name = named.get(pair.about, "")
    elif pair.kind not in ("presence", "count"):
        return None
    return name if name in subject.countable else None


def _exact(things: tuple[LabelledObject, ...]) -> bool:
    return not any(LOOSE in thing.attributes for thing in things)


def _where(subject: Subject, name: str, things: tuple[LabelledObject, ...]) -> tuple[str, str]:
    asked = subject.rng.choice(_WHERE_ONE if len(things) == 1 else _WHERE)
    phrase = f"the {name}" if len(things) == 1 else f"all {plural(name)}"
    return asked, subject.dialect.write(phrase, subject.boxes(things))


def _colour(subject: Subject, things: tuple[LabelledObject, ...]) -> tuple[str, str] | None:
    """Build a question for the colour of one object, or for the number of objects of a colour."""
    rng = subject.rng
    colours = [subject.colour(thing) for thing in things]
    if not 1 <= len(things) <= MAX_COUNT or None in colours:
        return None
    counts = Counter(str(colour) for colour in colours)
    if len(things) == 1:
        return rng.choice(_ONE_COLOUR), f"It is {colours[0]}."
    asked = rng.choice([*counts, "red", "blue", "white"])
    count = counts[asked]
    number = "None of them" if not count else "All of them" if count == len(things) else str(count)
    verb = "is" if number in ("1", "None of them") else "are"
    return rng.choice(_COLOUR).format(colour=asked), f"{number} {verb} {asked}."
