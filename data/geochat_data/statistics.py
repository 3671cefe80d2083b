"""What a file of samples consists of: kinds of questions, lengths, answers, boxes."""

import math
from collections import Counter
from collections.abc import Iterable

from geochat.dialects import Dialect
from geochat.prompts import Message, Task
from geochat_data.samples import Sample

_SIZES = ((1, "under 1 %"), (4, "1-4 %"), (16, "4-16 %"), (1e9, "over 16 %"))
Charts = dict[str, dict[str, int]]


def statistics(samples: Iterable[Sample], dialect: Dialect) -> Charts:
    """Counts by name, ready to be printed, drawn or written as JSON; samples are read once.

    Args:
        samples: What is counted.
        dialect: How their text is written. Angles are counted clockwise and in (0, 90] whatever it says, so that files
            in different dialects can be compared.
    """
    counts: dict[str, Counter[str]] = {
        name: Counter()
        for name in ("samples", "turns", "task", "answer words", "short answers", "boxes", "angle", "box area")
    }
    images = set()
    for sample in samples:
        counts["samples"]["with image" if sample.image else "text only"] += 1
        images.add(sample.image)
        counts["turns"][f"{len(sample.messages) // 2}"] += 1
        for question, answer in zip(sample.messages[::2], sample.messages[1::2], strict=False):
            _turn(question, answer, counts, dialect)
    counts["samples"]["distinct images"] = len(images - {None})
    return {name: _ordered(name, bars) for name, bars in counts.items()}


def task_name(question: str, dialect: Dialect) -> str:
    """The kind of a question, from its token and wording."""
    if task := dialect.task_of(question):
        return task.value
    _, short = dialect.wordings.templates.get(Task.VQA, ("", ""))
    if short and short in question:
        return Task.VQA.value
    if question.startswith("Classify") or "Answer with one word or short phrase" in question:
        return Task.SCENE.value
    return Task.CHAT.value


def _turn(question: Message, answer: Message, counts: dict[str, Counter[str]], dialect: Dialect) -> None:
    task = task_name(question.text, dialect)
    counts["task"][task] += 1
    words = len(answer.text.split())
    counts["answer words"]["1" if words == 1 else f"under {1 << words.bit_length()}"] += 1
    if task == Task.VQA:
        counts["short answers"][answer.text.lower()] += 1
    regions = dialect.parse(answer.text).regions
    counts["boxes"][f"{len(regions)}" if len(regions) < 10 else "10 or more"] += 1
    percent = dialect.model_frame.scale**2 / 100  # of the square's area
    for region in regions:
        box = region.box if 0 <= region.box.angle <= 90 else region.box.normalized("(0,90]")
        low = max(0, math.ceil(box.angle / 15) - 1) * 15  # the range is open below
        counts["angle"][f"{low} to {low + 15}"] += 1
        counts["box area"][next(name for limit, name in _SIZES if box.area < limit * percent)] += 1


def _ordered(name: str, bars: Counter[str]) -> dict[str, int]:
    if name in ("task", "short answers", "samples"):
        return dict(bars.most_common(20))
    if name == "box area":
        return {size: bars[size] for _, size in _SIZES if size in bars}
    return dict(sorted(bars.items(), key=lambda bar: int("".join(filter(str.isdigit, bar[0].split(" to ")[0])) or 0)))
