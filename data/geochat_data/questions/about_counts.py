"""Visual questions with one-word answers: presence, count and comparison.

Yes and no are drawn before the question is, so neither answer can be guessed from how often it is right.
"""

from geochat.prompts import Task
from geochat.prompts.phrases import with_article
from geochat_data.questions import wordings
from geochat_data.questions.conversation import Turn
from geochat_data.questions.subject import MAX_COUNT, Subject, plural
from geochat_data.questions.wordings import Wordings


def presence(subject: Subject) -> Turn | None:
    """Whether a category is there."""
    wanted = subject.rng.random() < 0.5
    choices = [c for c in subject.present if c in subject.image.labelled] if wanted else subject.absent
    if not choices:
        return None
    return _turn(subject, wordings.PRESENCE, subject.rng.choice(choices), "yes" if wanted else "no")


def count(subject: Subject) -> Turn | None:
    """How many objects of a category there are, seldom none."""
    counts = {category: len(subject.members(category)) for category in subject.countable}
    none = subject.rng.random() < 0.15
    choices = [category for category, n in counts.items() if (n == 0) == none and n <= MAX_COUNT]
    if not choices:
        return None
    category = subject.rng.choice(choices)
    return _turn(subject, wordings.COUNT, category, str(counts[category]))


def comparison(subject: Subject) -> Turn | None:
    """Whether there are more, or fewer, of one category than of another; never a close call among many."""
    rng = subject.rng
    counts = {category: len(subject.members(category)) for category in subject.countable}
    pairs = [(a, b) for a in counts for b in counts if counts[a] - counts[b] > 0.15 * counts[a]]
    if not pairs:
        return None
    larger, smaller = rng.choice(pairs)
    yes, word = rng.random() < 0.5, rng.choice(("more", "fewer"))
    first, second = (larger, smaller) if yes == (word == "more") else (smaller, larger)
    question = subject.word(wordings.COMPARISON).format(word=word, first=plural(first), second=plural(second))
    return Turn(
        subject.dialect.compose(question, Task.VQA),
        "yes" if yes else "no",
        Task.VQA,
        about=" and ".join(sorted((first, second))),
    )


def _turn(subject: Subject, wording: Wordings, category: str, answer: str) -> Turn:
    question = subject.word(wording).format(name=category, one=with_article(category), many=plural(category))
    return Turn(subject.dialect.compose(question, Task.VQA), answer, Task.VQA, about=category)
