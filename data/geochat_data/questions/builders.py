"""Builders, one function for each kind of question. A builder returns None if the image's labels do not support it.

`scene` and `caption` ask about the whole image; `presence`, `count` and `comparison` have one-word answers; `identify`,
`refer` and `grounding` have regions in the question or the answer; `position` and `colour` ask about one object;
`negative` asks about what is absent.

Yes and no are drawn before the question is, so that neither can be guessed from its frequency.
"""

from geochat.dialects import GEOCHAT
from geochat.prompts import Task
from geochat.prompts.phrases import plural, with_article
from geochat_data.questions import wordings
from geochat_data.questions.expressions import (
    EXTREMES,
    HALVES,
    PARTS,
    Expression,
    attribute_expressions,
    expressions,
    part_of,
)
from geochat_data.questions.subject import MAX_COUNT, QAPair, Subject, counted, joined
from geochat_data.questions.wordings import Wordings
from geochat_data.records import LabelledObject

ABSENT_SHARE = 0.06  # share of refer questions that ask for an absent category
_PLAIN_SHARE = 0.2  # share of the others that name a category and nothing else
_CAPTIONS = {
    "agricultural": "It is a piece of farmland.",
    "forest": "A forest of dense green trees.",
    "river": "A river winds between banks with trees.",
}
_PLACE_WORDS = (*PARTS, *HALVES, "leftmost", "rightmost", "topmost", "bottommost")


def scene(subject: Subject) -> QAPair | None:
    """Build the published classification question, with all classes or some of them, in any order."""
    image, rng = subject.image, subject.rng
    if image.scene is None or image.scene not in subject.scenes:
        return None
    classes = list(subject.scenes)
    if rng.random() < 0.6:
        others = [name for name in classes if name != image.scene]
        most = min(10, len(others))
        classes = [image.scene, *rng.sample(others, rng.randint(min(2, most), most))]
        rng.shuffle(classes)
    return QAPair(subject.word(wordings.SCENE).format(classes=", ".join(classes)), image.scene, Task.SCENE)


def caption(subject: Subject) -> QAPair | None:
    """Build a request for a description; the answer is a caption of the image, else made from the labels."""
    answer = (
        clean_caption(subject.rng.choice(subject.image.captions)) if subject.image.captions else _from_labels(subject)
    )
    if answer is None:
        return None
    return QAPair(subject.dialect.compose(subject.word(wordings.CAPTION), Task.CAPTION), answer, Task.CAPTION)


def clean_caption(text: str) -> str:
    """Correct the spaces, the full stop and the capital of a caption: "two planes ." gives "Two planes."."""
    words = " ".join(text.split()).rstrip(" .").replace(" ,", ",")
    return words[:1].upper() + words[1:] + "."


def _from_labels(subject: Subject) -> str | None:
    counts = {category: len(subject.members(category)) for category in subject.present if category in subject.countable}
    if counts:
        parts = [counted(category, count) for category, count in counts.items()]
        return f"There {'is' if next(iter(counts.values())) == 1 else 'are'} {joined(parts)} in the image."
    return _CAPTIONS.get(subject.image.scene or "")


def presence(subject: Subject) -> QAPair | None:
    """Ask whether a category is present."""
    wanted = subject.rng.random() < 0.5
    choices = [c for c in subject.present if c in subject.image.labelled] if wanted else subject.absent
    if not choices:
        return None
    return _short_answer(subject, wordings.PRESENCE, subject.rng.choice(choices), "yes" if wanted else "no")


def count(subject: Subject) -> QAPair | None:
    """Ask for the number of objects of a category, seldom none."""
    counts = {category: len(subject.members(category)) for category in subject.countable}
    none = subject.rng.random() < 0.15
    choices = [category for category, n in counts.items() if (n == 0) == none and n <= MAX_COUNT]
    if not choices:
        return None
    category = subject.rng.choice(choices)
    return _short_answer(subject, wordings.COUNT, category, str(counts[category]))


def comparison(subject: Subject) -> QAPair | None:
    """Ask whether there are more, or fewer, of one category than of another; large counts differ clearly."""
    rng = subject.rng
    counts = {category: len(subject.members(category)) for category in subject.countable}
    pairs = [(a, b) for a in counts for b in counts if counts[a] - counts[b] > 0.15 * counts[a]]
    if not pairs:
        return None
    larger, smaller = rng.choice(pairs)
    yes, word = rng.random() < 0.5, rng.choice(("more", "fewer"))
    first, second = (larger, smaller) if yes == (word == "more") else (smaller, larger)
    question = subject.word(wordings.COMPARISON).format(word=word, first=plural(first), second=plural(second))
    return QAPair(
        subject.dialect.compose(question, Task.VQA),
        "yes" if yes else "no",
        Task.VQA,
        about=" and ".join(sorted((first, second))),
    )


def _short_answer(subject: Subject, wording: Wordings, category: str, answer: str) -> QAPair:
    question = subject.word(wording).format(name=category, one=with_article(category), many=plural(category))
    return QAPair(subject.dialect.compose(question, Task.VQA), answer, Task.VQA, about=category)


def identify(subject: Subject) -> QAPair | None:
    """Ask for the category of the object in a region."""
    if not subject.image.objects:
        return None
    item = subject.rng.choice(subject.image.objects)
    words = _own_words(subject, subject.word(wordings.IDENTIFY), Task.IDENTIFY)
    question = subject.dialect.compose(words, Task.IDENTIFY, subject.boxes([item]))
    return QAPair(question, item.category, Task.IDENTIFY, about=repr(item.polygon))


def refer(subject: Subject) -> QAPair | None:
    """Ask for the regions of a phrase, or of one without any object."""
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
        offered += attribute_expressions(subject, category)
    plain = [e for e in offered if e.phrase in (f"the {category}", f"all {plural(category)}")]
    chosen = rng.choice(plain if plain and rng.random() < _PLAIN_SHARE else offered)
    return refer_to(subject, chosen)


def refer_to(subject: Subject, expression: Expression) -> QAPair:
    """Ask for the regions of one expression."""
    answer = subject.dialect.write(expression.phrase, subject.boxes(expression.objects))
    question = _refer_question(subject, expression.phrase)
    return QAPair(question, answer, Task.REFER, about=expression.phrase, grounded=True)


def _refer_absent(subject: Subject) -> QAPair | None:
    if not subject.absent:
        return None
    category = subject.rng.choice(subject.absent)
    singled_out = f"the {subject.rng.choice(EXTREMES)} {category}"
    phrase = subject.rng.choice((f"the {category}", f"all {plural(category)}", singled_out))
    answer = subject.dialect.empty or f"There is no {category} in the image."
    return QAPair(_refer_question(subject, phrase), answer, Task.REFER, about=phrase)


def _refer_question(subject: Subject, phrase: str) -> str:
    question = subject.word(wordings.REFER).format(phrase=phrase)
    if phrase.startswith("all "):
        question = question.replace("Where is", "Where are")
    return subject.dialect.compose(_own_words(subject, question, Task.REFER, phrase), Task.REFER)


def _own_words(subject: Subject, question: str, task: Task, phrase: str = "") -> str:
    """Return the words to compose a question from; for other dialects, the builder's own words around a phrase."""
    own = subject.dialect.wordings
    if own == GEOCHAT.wordings:
        return question
    return phrase if phrase or task in own.defaults else question


def grounding(subject: Subject) -> QAPair | None:
    """Ask for a description in which each category is followed by its regions."""
    groups = [subject.members(c) for c in subject.present if c in subject.countable]
    if not groups or sum(map(len, groups)) > MAX_COUNT:
        return None
    words = _own_words(subject, subject.word(wordings.GROUNDING), Task.GROUNDING)
    question = subject.dialect.compose(words, Task.GROUNDING)
    if not subject.dialect.syntax.prose:
        named = [(group[0].category, subject.boxes(group)) for group in groups]
        return QAPair(question, subject.dialect.write_all(named), Task.GROUNDING)
    parts = [_grounded(subject, group) for group in groups]
    return QAPair(question, f"The image shows {joined(parts)}.", Task.GROUNDING)


def _grounded(subject: Subject, group: tuple[LabelledObject, ...]) -> str:
    """Return a category with its regions; with its colour and place too, if these are clear and `rich` is set."""
    category, colour, where = group[0].category, "", ""
    if subject.rich:
        colours = {subject.colour(item) for item in group}
        colour = f"{colours.pop() or ''} " if len(colours) == 1 else ""
        place = part_of(subject, group[0]) if len(group) == 1 else None
        where = f" {place}" if place else ""
    noun = f"{colour}{category if len(group) == 1 else plural(category)}".strip()
    phrase = with_article(noun) if len(group) == 1 else f"{len(group)} {noun}"
    return subject.dialect.write(phrase, subject.boxes(group), inline=True) + where


def position(subject: Subject) -> QAPair | None:
    """Ask for the ninth of the image that an object is in; its expression does not name a place."""
    found = [
        (e, part)
        for e in _single_object_expressions(subject)
        if not _mentions_place(e.phrase) and (part := part_of(subject, e.objects[0]))
    ]
    if not found:
        return None
    expression, part = subject.rng.choice(found)
    question = subject.word(wordings.POSITION).format(thing=expression.phrase)
    return QAPair(
        subject.dialect.compose(_sentence(question), Task.VQA), part.split("the ")[1], Task.VQA, about=expression.phrase
    )


def colour(subject: Subject) -> QAPair | None:
    """Ask for the colour of an object whose colour is clear."""
    found = [(e, name) for e in _single_object_expressions(subject) if (name := subject.colour(e.objects[0]))]
    if not found:
        return None
    expression, name = subject.rng.choice(found)
    question = subject.word(wordings.COLOUR).format(thing=expression.phrase)
    return QAPair(subject.dialect.compose(_sentence(question), Task.VQA), name, Task.VQA, about=expression.phrase)


def negative(subject: Subject) -> QAPair | None:
    """Ask a question that presupposes an absent category; the answer says that there is none."""
    if not subject.absent:
        return None
    category = subject.rng.choice(subject.absent)
    question = subject.word(wordings.NEGATIVE).format(name=category, many=plural(category))
    return QAPair(question, f"There is no {category} in the image.", Task.CHAT, about=category)


def _single_object_expressions(subject: Subject) -> list[Expression]:
    """Expressions of one object each, by category, place, extreme or size."""
    return [e for e in expressions(subject) if len(e.objects) == 1]


def _mentions_place(phrase: str) -> bool:
    return any(words in phrase for words in _PLACE_WORDS)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
