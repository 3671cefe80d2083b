"""What a file of samples consists of: kinds of questions, lengths, answers, boxes."""

import math
from collections import Counter
from collections.abc import Iterable

from geochat.prompts import Message, Task, task_of
from geochat.regions import parse
from geochat_data.samples import Sample

_SIZES = ((1, "under 1 %"), (4, "1-4 %"), (16, "4-16 %"), (1e9, "over 16 %"))
Charts = dict[str, dict[str, int]]


def statistics(samples: Iterable[Sample]) -> Charts:
    """Counts by name, ready to be printed, drawn or written as JSON; samples are read once."""
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
            _turn(question, answer, counts)
    counts["samples"]["distinct images"] = len(images - {None})
    return {name: _ordered(name, bars) for name, bars in counts.items()}


def task_name(question: str) -> str:
    """The kind of a question, from its token and wording."""
    if task := task_of(question):
        return task.value
    if "Answer the question using a single word" in question:
        return Task.VQA.value
    if question.startswith("Classify") or "Answer with one word or short phrase" in question:
        return Task.SCENE.value
    return Task.CHAT.value


def _turn(question: Message, answer: Message, counts: dict[str, Counter[str]]) -> None:
    task = task_name(question.text)
    counts["task"][task] += 1
    words = len(answer.text.split())
    counts["answer words"]["1" if words == 1 else f"under {1 << words.bit_length()}"] += 1
    if task == Task.VQA:
        counts["short answers"][answer.text.lower()] += 1
    regions = parse(answer.text).regions
    counts["boxes"][f"{len(regions)}" if len(regions) < 10 else "10 or more"] += 1
    for region in regions:
        box = region.box
        low = max(0, math.ceil(box.angle / 15) - 1) * 15  # the range is open below
        counts["angle"][f"{low} to {low + 15}"] += 1
        counts["box area"][next(name for limit, name in _SIZES if box.area < limit * 100)] += 1


def _ordered(name: str, bars: Counter[str]) -> dict[str, int]:
    if name in ("task", "short answers", "samples"):
        return dict(bars.most_common(20))
    if name == "box area":
        return {size: bars[size] for _, size in _SIZES if size in bars}
    return dict(sorted(bars.items(), key=lambda bar: int("".join(filter(str.isdigit, bar[0].split(" to ")[0])) or 0)))
