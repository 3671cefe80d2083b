"""Questions about the whole image: its scene class and its description."""

from geochat.prompts import Task
from geochat_data.questions import wordings
from geochat_data.questions.conversation import Turn
from geochat_data.questions.subject import Subject, counted, listed

_BARE = {
    "agricultural": "It is a piece of farmland.",
    "forest": "A forest of dense green trees.",
    "river": "A river winds between banks with trees.",
}


def scene(subject: Subject) -> Turn | None:
    """The published classification question, over all classes or some of them, in any order."""
    image, rng = subject.image, subject.rng
    if image.scene is None or image.scene not in subject.scenes:
        return None
    classes = list(subject.scenes)
    if rng.random() < 0.6:
        others = [name for name in classes if name != image.scene]
        most = min(10, len(others))
        classes = [image.scene, *rng.sample(others, rng.randint(min(2, most), most))]
        rng.shuffle(classes)
    return Turn(subject.word(wordings.SCENE).format(classes=", ".join(classes)), image.scene, Task.SCENE)


def caption(subject: Subject) -> Turn | None:
    """A description: one a person wrote, else one made from the labels."""
    answer = tidy(subject.rng.choice(subject.image.captions)) if subject.image.captions else _from_labels(subject)
    if answer is None:
        return None
    return Turn(subject.dialect.compose(subject.word(wordings.CAPTION), Task.CAPTION), answer, Task.CAPTION)


def tidy(text: str) -> str:
    """A caption with its spaces and full stop in place: "Two planes ." gives "Two planes."."""
    words = " ".join(text.split()).rstrip(" .").replace(" ,", ",")
    return words[:1].upper() + words[1:] + "."


def _from_labels(subject: Subject) -> str | None:
    counts = {category: len(subject.members(category)) for category in subject.present if category in subject.countable}
    if counts:
        parts = [counted(category, count) for category, count in counts.items()]
        return f"There {'is' if next(iter(counts.values())) == 1 else 'are'} {listed(parts)} in the image."
    return _BARE.get(subject.image.scene or "")
