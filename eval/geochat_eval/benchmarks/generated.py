"""Questions generated from labels: UC Merced's, the user's own, or those of synthetic scenes.

- `refer`: each object once, by the first expression that selects it alone, and all objects of a category together.
- `refer-absent`: one present and one absent category for each image, with [refer] for both.
- `identify`: pairs of objects of different categories in one image. A model that uses the region gives two answers, and
  exchanges them when the regions are exchanged. UC Merced's photographs hold one category each and are first combined
  in mosaics of two by two; for a user's images with one category, single regions are used.
- `presence`, `comparison`, `count`: answers balanced over the images.
- `describe`: descriptions in which every object has a box.

Questions are in the dialect of the model, truths in the published one, the same for every model; those of `refer`
are not rounded to whole percents. `clip` is the image in the square in which boxes are compared: boxes of objects cut
by the border reach outside, and are compared inside only.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

from geochat.dialects import GEOCHAT
from geochat.prompts import Task
from geochat.prompts.phrases import plural
from geochat_data.questions import AnswerBalance, Expression, QAPair, Subject, build_conversation, expressions, wordings
from geochat_data.readers import Report
from geochat_data.records import LabelledImage, LabelledObject
from geochat_eval.benchmarks.base import Benchmark, Item, Sources
from geochat_eval.benchmarks.labelled_images import generates_images, image_path, is_ucm, labelled_images, mosaics
from geochat_eval.boxes import image_in_square

_FILES = "--images DIR of UC Merced; or --questions boxes.jsonl [--images DIR]; or nothing: synthetic scenes"
_MOST = 3  # questions of one kind about an image


def _subject(image: LabelledImage, sources: Sources, kind: str) -> Subject:
    name = image.name or (image.path.name if image.path else "")
    return Subject(image, random.Random(f"{kind}/{name}"), sources.dialect, wording=sources.wording)


def _frame_fields(image: LabelledImage) -> dict[str, Any]:
    return {"clip": list(image_in_square((image.width, image.height)))}


def _refer(sources: Sources, report: Report) -> Iterator[Item]:
    for image in labelled_images(sources, report):
        subject = _subject(image, sources, "refer")
        truths = replace(subject, dialect=GEOCHAT)
        for number, expression in enumerate(_expressions(subject)):
            path = image_path(image, sources)
            boxes = [[b.x1, b.y1, b.x2, b.y2, b.angle] for b in truths.boxes(expression.objects)]
            category = expression.objects[0].category
            alone = expression.phrase == f"the {category}"
            fields = {"type": "ref", "phrase": expression.phrase, "only_one": alone, **_frame_fields(image)}
            yield Item(f"{path}#{number}", path, _refer_words(subject, expression.phrase), boxes, fields)


def _expressions(subject: Subject) -> list[Expression]:
    """Return the first expression of each object and of each group."""
    chosen: dict[tuple[LabelledObject, ...], Expression] = {}
    for expression in expressions(subject):
        chosen.setdefault(expression.objects, expression)
    return list(chosen.values())


def _refer_words(subject: Subject, phrase: str) -> str:
    question = subject.word(wordings.REFER).format(phrase=phrase)
    if phrase.startswith("all "):
        question = question.replace("Where is", "Where are")
    return subject.dialect.compose(question, Task.REFER)


def _refer_absent(sources: Sources, report: Report) -> Iterator[Item]:
    for image in labelled_images(sources, report):
        subject = _subject(image, sources, "absent")
        present = [category for category in subject.present if category in subject.countable]
        if not present or not subject.absent:
            continue
        path = image_path(image, sources)
        form: Callable[[str], str] = subject.rng.choice(
            [lambda name: f"the {name}", lambda name: f"all {plural(name)}"]
        )
        for there, categories in (("yes", present), ("no", subject.absent)):
            category = subject.rng.choice(categories)
            question = _refer_words(subject, form(category))
            yield Item(f"{path}#{there}", path, question, there, {"category": category, "type": "refer"})


def _identify(sources: Sources, report: Report) -> Iterator[Item]:
    images = labelled_images(sources, report)
    for image in mosaics(images) if _in_mosaics(sources) else images:
        subject = _subject(image, sources, "identify")
        groups = [[item for item in image.objects if item.category == c] for c in subject.present]
        pairs = list(combinations([group for group in groups if group], 2))
        if sources.reader is not None and len(groups) == 1:
            yield _identify_item(
                image, subject, subject.rng.choice(groups[0]), sources, f"{image_path(image, sources)}#0"
            )
        for number, pair in enumerate(subject.rng.sample(pairs, min(_MOST, len(pairs)))):
            path = image_path(image, sources)
            words = subject.word(wordings.IDENTIFY)
            for side, group in zip("ab", pair, strict=True):
                item = subject.rng.choice(group)
                question = subject.dialect.compose(words, Task.IDENTIFY, subject.boxes([item]))
                name = f"{path}#{number}"
                yield Item(f"{name}{side}", path, question, item.category, {"type": "identify", "pair": name})


def _identify_item(image: LabelledImage, subject: Subject, item: LabelledObject, sources: Sources, name: str) -> Item:
    """Build the question for the category of one object."""
    question = subject.dialect.compose(subject.word(wordings.IDENTIFY), Task.IDENTIFY, subject.boxes([item]))
    return Item(name, image_path(image, sources), question, item.category, {"type": "identify"})


def _in_mosaics(sources: Sources) -> bool:
    return is_ucm(sources) and sources.questions is None


def _read_built(kind: str, sources: Sources, report: Report) -> Iterator[Item]:
    """Read questions of one kind, from the builder of the training data."""
    published = replace(sources, dialect=GEOCHAT)
    balance, balance_of_truths = AnswerBalance(), AnswerBalance()
    for image in labelled_images(sources, report):
        asked = _build_pairs(image, sources, kind, balance)
        true = asked if sources.dialect == GEOCHAT else _build_pairs(image, published, kind, balance_of_truths)
        for number, (turn, truth) in enumerate(zip(asked, true, strict=True)):
            path = image_path(image, sources)
            yield Item(f"{path}#{number}", path, turn.question, truth.answer, _fields(turn, image))


def _build_pairs(image: LabelledImage, sources: Sources, kind: str, balance: AnswerBalance) -> tuple[QAPair, ...]:
    """Build the question-answer pairs about an image; the random choices are the same in every dialect."""
    rng, shares = _subject(image, sources, kind).rng, {kind: 1.0}
    return build_conversation(
        image,
        rng,
        dialect=sources.dialect,
        turns=_MOST,
        shares=shares,
        wording=sources.wording,
        balance=balance,
    )


def _fields(turn: QAPair, image: LabelledImage) -> dict[str, Any]:
    grounded = _frame_fields(image) if turn.task is Task.GROUNDING else {}
    return {"type": turn.kind, "about": turn.about, **grounded}


def _choices(item: Item, _sources: Sources) -> tuple[str, ...]:
    return ("yes", "no") if item.fields.get("type") in ("presence", "comparison") else ()


def _generated(name: str, summary: str, read: Any, scorer: str, budget: int, *headline: str) -> Benchmark:  # noqa: ANN401 - see Benchmark
    return Benchmark(
        name,
        summary,
        _FILES,
        read,
        scorer,
        max_new_tokens=budget,
        headline=headline,
        choices=_choices,
        generates_images=lambda sources: generates_images(sources) or (name == "identify" and _in_mosaics(sources)),
    )


REFER = _generated(
    *("refer", "boxes of phrases", _refer, "referring", 320),
    *("first_box@0.5", "f1@0.5/multiple", "clean_regions", "empty"),
)

REFER_ABSENT = _generated(
    *("refer-absent", "[refer] for what is there and for what is not", _refer_absent, "existence", 320),
    "balanced_accuracy",
)

IDENTIFY = _generated(
    *("identify", "what is in a region, and in another of the same image", _identify, "identify", 32),
    *("accuracy", "pairs_right", "pairs_unmoved"),
)

PRESENCE = _generated(
    *("presence", "is there one? answers balanced", partial(_read_built, "presence"), "vqa", 16),
    *("accuracy", "accuracy/balanced/presence"),
)

COMPARISON = _generated(
    *("comparison", "more of these than of those? answers balanced", partial(_read_built, "comparison"), "vqa", 16),
    *("accuracy", "accuracy/balanced/comparison"),
)

COUNT = _generated(
    "count", "how many are there? answers balanced", partial(_read_built, "count"), "vqa", 16, "accuracy"
)

DESCRIBE = _generated(
    *("describe", "descriptions that locate", partial(_read_built, "grounding"), "grounded-description", 384),
    *("matched_and_named@0.5", "f1@0.5", "clean_regions", "empty"),
)
