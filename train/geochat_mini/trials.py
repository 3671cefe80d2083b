"""Questions about photographs of every source, with present and absent objects, and their scoring.

An answer contributes to one figure or several, as a score out of a maximum. Where possible, the score of a blind answer
is recorded too: a guess among the choices, "1" for a count, the middle of the image for a box. Boxes are compared with
their truth as rotated boxes. If a source has only upright boxes, the upright rectangle around the answer is compared,
because a box along the object is the better answer and would otherwise score lower.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from geochat import Answer, GeoChat, Question
from geochat.errors import PromptError
from geochat.geometry import OrientedBox
from geochat.prompts import Task
from geochat.prompts.phrases import plural, with_article
from geochat_data.records import LabelledImage
from geochat_mini.classes import SCENES, SOURCE_SCENES, classes_of
from geochat_mini.paraphrases import asked, paraphrases
from geochat_mini.sources import UPRIGHT, folder_of, source_of

Counts = Mapping[str, tuple[float, float]]
"""For each figure how much is right, and out of how much."""
REFUSED = "refused"
"""The figure of questions within the model's scope that it took for others; it counts what is wrong."""

_CLASSIFY = "Classify the image within one of the given classes: {}. Answer with one word or short phrase."
ASKED = ("airplane", "storage tank", "ship", "swimming pool", "car", "vehicle", "ground track field", "tennis court",
          "baseball diamond", "overpass", "solar panel")  # fmt: skip
"""Categories that are asked for."""
_BARE = frozenset({"desert", "forest", "mountain", "meadow", "bare land", "farmland", "chaparral"})
_MANY = 12  # objects more than which nobody counts by eye
_OUTSIDE = 0.2  # of the photographs are asked something outside the model's scope


@dataclass(frozen=True)
class Trial:
    """One question about a photograph.

    Attributes:
        question: The question.
        score: Counts its answer.
        blind: Score of an answer that ignores the image.
    """

    question: Question
    score: Callable[[Answer], Counts]
    blind: Counts = field(default_factory=dict)


def trials(image: LabelledImage, rng: random.Random) -> Iterator[Trial]:
    """Yield the questions about a photograph."""
    if image.scene:
        yield from _scenes(image, rng)
    yield from _objects(image, rng)
    yield from _absent(image, rng)
    if rng.random() < _OUTSIDE:
        words = rng.choice(paraphrases()["unanswerable"].held_out)
        yield Trial(
            Question(words),
            lambda answer: {"out of scope, refused": (float(answer.interpretation.reply is not None), 1)},
        )


def windowed(chat: GeoChat, image: LabelledImage, side: int | None = None) -> Counts:
    """Return F1 of the objects found in a photograph, window by window, for each category in it.

    Args:
        chat: The model.
        image: A photograph with a file.
        side: Side of the windows, pixels; None for that of `geochat find`.
    """
    assert image.path is not None
    doubtful = [OrientedBox.from_polygon(thing.polygon) for thing in image.ignore]
    counts: dict[str, tuple[float, float]] = {}
    for category in sorted({thing.category for thing in image.objects} & set(ASKED)):
        truths = true_boxes(image, category)
        try:
            found = [as_labelled(image, each.box) for each in chat.find(image.path, plural(category), window=side)]
        except PromptError:  # the model does not know the category
            found = []
        kept = [box for box in found if not any(box.iou(other) >= 0.5 for other in doubtful)]
        counts[f"windows F1@0.5, {folder_of(image)}, {category}"] = _f1(kept, truths)
    return counts


def _scenes(image: LabelledImage, rng: random.Random) -> Iterator[Trial]:
    source, scene = source_of(image), image.scene
    assert source is not None
    assert scene is not None
    names = SOURCE_SCENES[source]
    yield _classified(names, scene, f"scene, {source}")
    mine = set(classes_of(scene))
    renamed = {name: rng.choice(SCENES[classes_of(name)[0]]) for name in names if len(classes_of(name)) == 1}
    right = renamed.get(scene)
    if right is not None and list(renamed.values()).count(right) == 1:
        others = [new for name, new in renamed.items() if not mine & set(classes_of(name))]
        offered = [right, *rng.sample(others, min(9, len(others)))]
        rng.shuffle(offered)
        yield _classified(offered, right, f"scene renamed, {source}")
    for figure, words in _both_ways("scene", "What kind of place is this?", rng):
        yield Trial(Question(words), _one_of(mine, figure))


def _one_of(classes: set[str], figure: str) -> Callable[[Answer], Counts]:
    """Score a free answer: whether it is a name of one of the classes."""
    return lambda answer: {figure: (float(bool(classes & set(classes_of(_plain(answer))))), 1)}


def _plain(answer: Answer) -> str:
    return answer.plain_text.strip(" .").lower()


def _both_ways(intent: str, standard: str, rng: random.Random, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield a question in the trained wording and in an unseen one, each with its figure."""
    yield f"words, {intent}", standard
    yield f"held-out words, {intent}", asked(rng.choice(paraphrases()[intent].held_out), name)


def _classified(names: Sequence[str], right: str, figure: str) -> Trial:
    question = Question(_CLASSIFY.format(", ".join(names)), task=Task.SCENE, choices=tuple(names))
    guess = {figure: (1 / len(names), 1.0)}
    return Trial(question, lambda answer: {figure: (float(answer.choice == right), 1)}, guess)


def _objects(image: LabelledImage, rng: random.Random) -> Iterator[Trial]:
    folder = folder_of(image)
    doubtful = {thing.category for thing in image.ignore}
    for category in sorted(({thing.category for thing in image.objects} & set(ASKED)) - doubtful):
        boxes = true_boxes(image, category)
        if len(boxes) == 1:
            yield _only_one(image, category, boxes[0])
        elif len(boxes) <= _MANY:
            yield Trial(
                Question(f"[refer] all {plural(category)}"), _every(image, boxes, f"refer all F1@0.5, {category}")
            )
        if category not in image.labelled:
            continue
        yield _short(f"Is there {with_article(category)} in the image?", "yes", f"presence yes, {folder}")
        for figure, words in _both_ways("presence", f"Is there {with_article(category)} in the image?", rng, category):
            yield _short(words, "yes", figure)
        if len(boxes) <= _MANY:
            right, many = str(len(boxes)), f"How many {plural(category)} are there in the image?"
            yield _short(many, right, f"count, {folder}", always="1")
            for figure, words in _both_ways("count", many, rng, category):
                yield _short(words, right, figure)


def _absent(image: LabelledImage, rng: random.Random) -> Iterator[Trial]:
    held = {thing.category for thing in (*image.objects, *image.ignore)}
    absent = sorted((image.labelled & set(ASKED)) - held)
    if absent:
        category = rng.choice(absent)
        yield Trial(Question(f"[refer] {rng.choice(('the', 'all'))} {category}"), _nothing("absent refused, [refer]"))
        category = rng.choice(absent)
        question = f"Is there {with_article(category)} in the image?"
        yield _short(question, "no", f"presence no, {folder_of(image)}")
        for figure, words in _both_ways("presence", question, rng, category):
            yield _short(words, "no", figure)
    if image.scene and set(classes_of(image.scene)) <= _BARE:
        grounded = Question("Describe the image in detail with the positions of the objects.", task=Task.GROUNDING)
        yield Trial(grounded, _nothing("absent refused, description"))


def _short(words: str, right: str, figure: str, always: str | None = None) -> Trial:
    """Return a question with a one-word answer, and the score of a constant answer."""
    blind = {figure: (float(always == right), 1.0)} if always else {}
    return Trial(Question(words), lambda answer: {figure: (float(_plain(answer) == right), 1)}, blind)


def _nothing(figure: str) -> Callable[[Answer], Counts]:
    return lambda answer: {figure: (float(not answer.regions), 1)}


def _every(image: LabelledImage, truths: Sequence[OrientedBox], figure: str) -> Callable[[Answer], Counts]:
    return lambda answer: {figure: _f1(_found(answer, image), truths)}


def _only_one(image: LabelledImage, category: str, truth: OrientedBox) -> Trial:
    """Return the overlap of the first box with the only object, and their size ratio."""
    figure = f"refer single, {category}"

    def score(answer: Answer) -> Counts:
        found = _found(answer, image)[:1]
        overlap = found[0].iou(truth) if found else 0.0
        figures = {f"{figure} @0.5": (float(overlap >= 0.5), 1.0), f"{figure} @0.25": (float(overlap >= 0.25), 1.0)}
        if overlap > 0.1:
            figures[f"{figure}, area beside the true one"] = (found[0].area / truth.area, 1.0)
        return figures

    w, h = image.width, image.height
    middle = OrientedBox(w / 4, h / 4, 3 * w / 4, 3 * h / 4)
    return Trial(Question(f"[refer] the {category}"), score, {f"{figure} @0.5": (float(middle.iou(truth) >= 0.5), 1.0)})


def true_boxes(image: LabelledImage, category: str) -> list[OrientedBox]:
    """Return the boxes of a category in a photograph, upright if its labels are."""
    things = (thing for thing in image.objects if thing.category == category)
    return [as_labelled(image, OrientedBox.from_polygon(thing.polygon)) for thing in things]


def _found(answer: Answer, image: LabelledImage) -> list[OrientedBox]:
    return [
        as_labelled(image, region.geometry) for region in answer.regions if isinstance(region.geometry, OrientedBox)
    ]


def as_labelled(image: LabelledImage, found: OrientedBox) -> OrientedBox:
    """Return the box, or the rectangle around it if the labels are upright."""
    if folder_of(image) not in UPRIGHT:
        return found
    return OrientedBox(*found.polygon().bounds)


def _f1(found: Sequence[OrientedBox], truths: Sequence[OrientedBox]) -> tuple[float, float]:
    """Count found and true boxes that match at an overlap of a half, best pairs first, out of all of them."""
    pairs = sorted(((f.iou(t), i, j) for i, f in enumerate(found) for j, t in enumerate(truths)), reverse=True)
    left, right, hits = set(range(len(found))), set(range(len(truths))), 0
    for overlap, i, j in pairs:
        if overlap >= 0.5 and i in left and j in right:
            left.discard(i)
            right.discard(j)
            hits += 1
    return 2.0 * hits, float(len(found) + len(truths))
