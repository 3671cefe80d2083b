"""Questions about one object - where it is, what colour it has - and questions about objects that are not there."""

from geochat.prompts import Task
from geochat_data.questions import wordings
from geochat_data.questions.conversation import Turn
from geochat_data.questions.expressions import PARTS, Expression, expressions, part_of
from geochat_data.questions.qualities import HALVES
from geochat_data.questions.subject import Subject, plural

_PLACE_WORDS = (*PARTS, *HALVES, "leftmost", "rightmost", "topmost", "bottommost")


def position(subject: Subject) -> Turn | None:
    """Which ninth of the image an object is in; it is named without saying so."""
    found = [
        (e, part) for e in _single(subject) if not _says_where(e.phrase) and (part := part_of(subject, e.objects[0]))
    ]
    if not found:
        return None
    expression, part = subject.rng.choice(found)
    question = subject.word(wordings.POSITION).format(thing=expression.phrase)
    return Turn(
        subject.dialect.compose(_sentence(question), Task.VQA), part.split("the ")[1], Task.VQA, about=expression.phrase
    )


def colour(subject: Subject) -> Turn | None:
    """The colour of an object whose colour is clear."""
    found = [(e, name) for e in _single(subject) if (name := subject.colour(e.objects[0]))]
    if not found:
        return None
    expression, name = subject.rng.choice(found)
    question = subject.word(wordings.COLOUR).format(thing=expression.phrase)
    return Turn(subject.dialect.compose(_sentence(question), Task.VQA), name, Task.VQA, about=expression.phrase)


def negative(subject: Subject) -> Turn | None:
    """A question that takes for granted what is not there; the answer says that it is not."""
    if not subject.absent:
        return None
    category = subject.rng.choice(subject.absent)
    question = subject.word(wordings.NEGATIVE).format(name=category, many=plural(category))
    return Turn(question, f"There is no {category} in the image.", Task.CHAT, about=category)


def _single(subject: Subject) -> list[Expression]:
    """Expressions for one object each, by category, place, extreme or size."""
    return [e for e in expressions(subject) if len(e.objects) == 1]


def _says_where(phrase: str) -> bool:
    return any(words in phrase for words in _PLACE_WORDS)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
