"""Visual questions with one-word answers: presence, count and comparison.

Yes and no are drawn before the question is, so neither answer can be guessed from how often it is right.
"""

from geochat.prompts import Task, compose
from geochat_data.questions.conversation import Turn
from geochat_data.questions.subject import MAX_COUNT, Subject, plural, with_article

PRESENCE_QUESTIONS = (
    "Is there {one} in the image?",
    "Is {one} present in the image?",
    "Are there any {many} in the image?",
    "Does the image show {one}?",
)
COUNT_QUESTIONS = (
    "How many {many} are there in the image?",
    "What is the number of {many} in the image?",
    "How many {many} can be seen?",
)


def presence(subject: Subject) -> Turn | None:
    """Whether a category is there."""
    wanted = subject.rng.random() < 0.5
    choices = [c for c in subject.present if c in subject.image.labelled] if wanted else subject.absent
    if not choices:
        return None
    return _turn(subject, PRESENCE_QUESTIONS, subject.rng.choice(choices), "yes" if wanted else "no")


def count(subject: Subject) -> Turn | None:
    """How many objects of a category there are, seldom none."""
    counts = {category: len(subject.members(category)) for category in subject.countable}
    none = subject.rng.random() < 0.15
    choices = [category for category, n in counts.items() if (n == 0) == none and n <= MAX_COUNT]
    if not choices:
        return None
    category = subject.rng.choice(choices)
    return _turn(subject, COUNT_QUESTIONS, category, str(counts[category]))


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
    question = f"Are there {word} {plural(first)} than {plural(second)} in the image?"
    return Turn(compose(question, Task.VQA), "yes" if yes else "no", Task.VQA)


def _turn(subject: Subject, wordings: tuple[str, ...], category: str, answer: str) -> Turn:
    wording = subject.rng.choice(wordings)
    question = wording.format(one=with_article(category), many=plural(category))
    return Turn(compose(question, Task.VQA), answer, Task.VQA)
