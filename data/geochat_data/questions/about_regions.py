"""Questions with regions in them or in their answers: identify, refer and grounded description."""

from geochat.prompts import Task
from geochat.prompts.phrases import with_article
from geochat_data.questions import wordings
from geochat_data.questions.conversation import Turn
from geochat_data.questions.expressions import EXTREMES, Expression, expressions, part_of
from geochat_data.questions.qualities import described
from geochat_data.questions.subject import MAX_COUNT, Subject, listed, plural
from geochat_data.records import LabelledObject

ABSENT_SHARE = 0.06  # of refer questions that ask for what is not there
_PLAIN_SHARE = 0.2  # of the others that name a category and nothing else


def identify(subject: Subject) -> Turn | None:
    """What is in a region."""
    if not subject.image.objects:
        return None
    item = subject.rng.choice(subject.image.objects)
    question = subject.dialect.compose(subject.word(wordings.IDENTIFY), Task.IDENTIFY, subject.boxes([item]))
    return Turn(question, item.category, Task.IDENTIFY, about=repr(item.polygon))


def refer(subject: Subject) -> Turn | None:
    """Where the objects of a phrase are, or that there are none."""
    rng = subject.rng
    if rng.random() < ABSENT_SHARE:
        return _refer_absent(subject)
    categories = [category for category in subject.present if category in subject.image.labelled]
    if not categories:
        return None
    category = rng.choice(categories)
    offered = expressions(subject, category)
    if not offered:
        return None
    if subject.rich:
        offered += described(subject, category)
    plain = [e for e in offered if e.phrase in (f"the {category}", f"all {plural(category)}")]
    chosen = rng.choice(plain if plain and rng.random() < _PLAIN_SHARE else offered)
    return refer_to(subject, chosen)


def refer_to(subject: Subject, expression: Expression) -> Turn:
    """The question for one expression, and its regions as the answer."""
    answer = subject.dialect.write(expression.phrase, subject.boxes(expression.objects))
    question = _refer_question(subject, expression.phrase)
    return Turn(question, answer, Task.REFER, about=expression.phrase, grounded=True)


def _refer_absent(subject: Subject) -> Turn | None:
    if not subject.absent:
        return None
    category = subject.rng.choice(subject.absent)
    singled_out = f"the {subject.rng.choice(EXTREMES)} {category}"
    phrase = subject.rng.choice((f"the {category}", f"all {plural(category)}", singled_out))
    return Turn(_refer_question(subject, phrase), f"There is no {category} in the image.", Task.REFER, about=phrase)


def _refer_question(subject: Subject, phrase: str) -> str:
    question = subject.word(wordings.REFER).format(phrase=phrase)
    if phrase.startswith("all "):
        question = question.replace("Where is", "Where are")
    return subject.dialect.compose(question, Task.REFER)


def grounding(subject: Subject) -> Turn | None:
    """A description of everything countable, each kind of object followed by its regions."""
    groups = [subject.members(c) for c in subject.present if c in subject.countable]
    if not groups or sum(map(len, groups)) > MAX_COUNT:
        return None
    parts = [_grounded(subject, group) for group in groups]
    question = subject.dialect.compose(subject.word(wordings.GROUNDING), Task.GROUNDING)
    return Turn(question, f"The image shows {listed(parts)}.", Task.GROUNDING)


def _grounded(subject: Subject, group: tuple[LabelledObject, ...]) -> str:
    """A kind of object with its regions; with its colour and place too, where these are clear and wanted."""
    category, colour, where = group[0].category, "", ""
    if subject.rich:
        colours = {subject.colour(item) for item in group}
        colour = f"{colours.pop() or ''} " if len(colours) == 1 else ""
        place = part_of(subject, group[0]) if len(group) == 1 else None
        where = f" {place}" if place else ""
    noun = f"{colour}{category if len(group) == 1 else plural(category)}".strip()
    phrase = with_article(noun) if len(group) == 1 else f"{len(group)} {noun}"
    return subject.dialect.write(phrase, subject.boxes(group)) + where
