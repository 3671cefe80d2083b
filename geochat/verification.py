"""Checks of a downloaded, converted or fine-tuned model against its settings.

Each check states the expectation and the finding. The result is "ok", "look" if a person should judge, such as a missed
box (a model may be bad without being broken), or "FAIL" if the checkpoint or its settings are wrong.
"""

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from typing import Any, Literal

from affine import Affine

from geochat.assistant.answer import Answer
from geochat.assistant.question import Question
from geochat.chat import GeoChat
from geochat.engines import GenerationSettings
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage, open_image
from geochat.prompts import Task

Verdict = Literal["ok", "look", "FAIL"]

_BOXES = (  # in percent: upright, turned, touching the border, beyond it
    OrientedBox(10, 20, 30, 40, 45),
    OrientedBox(0, 0, 100, 100, 90),
    OrientedBox(-5, 40, 20, 60, 30),
    OrientedBox(48, 49, 53, 52, 12),
)
_HIT = 0.5
_SHORT = GenerationSettings(max_new_tokens=48)


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        name: Name of the check.
        verdict: The verdict.
        detail: Finding, and the expectation if relevant.
    """

    name: str
    verdict: Verdict
    detail: str


def verify(load: Callable[[], GeoChat]) -> Iterator[Finding]:
    """Load a model and check it; every check runs, even after one has failed, unless loading did.

    Args:
        load: Loads it.
    """
    started = time.perf_counter()
    try:
        chat = load()
    except Exception as error:  # whatever keeps it from loading is the finding
        yield Finding("load", "FAIL", _told(error))
        return
    yield Finding("load", "ok", f"{chat.engine.info.name} in {time.perf_counter() - started:.1f} s")
    bench = _Bench(chat)
    for name, check in (
        ("settings", bench.settings),
        ("prompts", bench.prompts),
        ("regions", bench.regions),
        ("repeatable", bench.repeatable),
        ("batch", bench.batch),
        ("scenes", bench.scenes),
        ("boxes", bench.boxes),
        ("readable", bench.readable),
        ("speed", bench.speed),
        ("memory", bench.memory),
    ):
        try:
            yield Finding(name, *check())
        except Exception as error:  # a check that breaks in any way is a finding
            yield Finding(name, "FAIL", _told(error))


class _Bench:
    """The checks of one loaded model."""

    def __init__(self, chat: GeoChat) -> None:
        self.chat = chat
        self.info = chat.engine.info

    @cached_property
    def samples(self) -> list[tuple[GeoImage, dict[str, Any]]]:
        """Return each bundled scene with each question whose true answer is known."""
        folder = files("geochat") / "samples"
        listed = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
        asked = []
        for sample in listed:
            with as_file(folder / sample["file"]) as path:
                image = open_image(path)
            asked += [(image, question) for question in sample["questions"] if "truth" in question]
        return [(image, entry) for image, entry in asked if Task(entry["task"]) in self.info.settings.tasks]

    @cached_property
    def answers(self) -> list[tuple[dict[str, Any], Answer]]:
        """Check the answers to these questions."""
        return [(entry, self._ask(image, entry)) for image, entry in self.samples]

    def settings(self) -> tuple[Verdict, str]:
        info, dialect = self.info, self.info.dialect
        grid = "?" if info.patch_size is None else info.image_size // info.patch_size
        return "ok", (
            f"dialect {dialect.name}, {dialect.angles.direction} in {dialect.angles.angle_range}, fit "
            f"{dialect.model_frame.fit}; {info.image_size} px, {grid} x {grid} patches, context {info.context}; "
            f"sha256 {(info.sha256 or 'unknown')[:16]}"
        )

    def prompts(self) -> tuple[Verdict, str]:
        """Check that every task can be asked, and that its prompt survives the tokenizer."""
        tokenizer = _tokenizer(self.chat)
        words = {
            Task.CHAT: "hello",
            Task.SCENE: "airport, harbor",
            Task.VQA: "Is there a ship?",
            Task.REFER: "the ship",
        }
        lost = []
        for task in self.info.settings.tasks:
            boxes = list(self._boxes())[:1] if task is Task.IDENTIFY else []
            prompt = self.info.dialect.compose(words.get(task, ""), task, boxes)
            if tokenizer is not None and not _survives(prompt, tokenizer):
                lost.append(task.value)
        if lost:
            return "FAIL", f"the tokenizer changes the prompts of {', '.join(lost)}; it may be another model's"
        return "ok", f"{len(self.info.settings.tasks)} tasks: {', '.join(self.info.settings.tasks)}"

    def regions(self) -> tuple[Verdict, str]:
        """Check that boxes read back from their text, also through the tokenizer."""
        dialect, tokenizer = self.info.dialect, _tokenizer(self.chat)
        for box in self._boxes():
            text = dialect.write("a ship", [box])
            if tokenizer is not None and not _survives(text, tokenizer):
                return "FAIL", f"the tokenizer changes {text!r}; boxes would not be read"
            found = dialect.parse(text).regions
            same = len(found) == 1 and (
                found[0].box.iou(box) >= 0.9 or dialect.write("a ship", [found[0].shape]) == text
            )
            if not same:
                return "FAIL", f"{text!r} does not read back as the box it was written from"
        return "ok", f"written and read back, such as {dialect.write('a ship', [next(self._boxes())])}"

    def _boxes(self) -> Iterator[OrientedBox]:
        """Return the boxes of the check in the model's numbers."""
        unit = (self.info.frame.scale or 1000) / 100
        return (box.transform(Affine.scale(unit)) for box in _BOXES)

    def repeatable(self) -> tuple[Verdict, str]:
        image, entry = self.samples[0]
        first, second = self._ask(image, entry, tokens=_SHORT), self._ask(image, entry, tokens=_SHORT)
        if any(not math.isfinite(token.logprob) for token in first.tokens):
            return "FAIL", "log-probabilities are no numbers; try dtype float32"
        if first.text != second.text:
            return "look", f"asked twice: {first.text!r}, then {second.text!r}"
        return "ok", "the same greedy answer twice, the second time from what had been read"

    def batch(self) -> tuple[Verdict, str]:
        alone = [self._ask(image, entry, tokens=_SHORT).text for image, entry in self.samples[:4]]
        pairs = [(image, _question(entry, _SHORT)) for image, entry in self.samples[:4]]
        together = [found.text if isinstance(found, Answer) else str(found) for found in self.chat.ask_many(pairs)]
        different = sum(one != other for one, other in zip(alone, together, strict=True))
        if different:
            return "look", f"{different} of {len(alone)} answers differ when asked together (half precision may do so)"
        return "ok", f"{len(alone)} questions together are answered as each alone"

    def scenes(self) -> tuple[Verdict, str]:
        asked = [(entry, answer) for entry, answer in self.answers if "text" in entry["truth"]]
        wrong = [
            f"{' '.join(answer.prompt.split())[:60]!r}: {answer.plain_text[:40]!r}, right: {entry['truth']['text']!r}"
            for entry, answer in asked
            if answer.plain_text.strip(" .").lower() != entry["truth"]["text"]
        ]
        told = f"{len(asked) - len(wrong)} of {len(asked)} short answers about the bundled scenes are right"
        return ("look", f"{told}; {'; '.join(wrong)}") if wrong else ("ok", told)

    def boxes(self) -> tuple[Verdict, str]:
        hits = total = 0
        for entry, answer in self.answers:
            for numbers in entry["truth"].get("boxes", ()):
                total += 1
                truth = OrientedBox(*numbers)
                hits += any(region.geometry.iou(truth) >= _HIT for region in answer.regions)
        told = f"{hits} of {total} objects of the bundled scenes are boxed by half or more"
        return ("ok" if hits == total else "look"), told

    def readable(self) -> tuple[Verdict, str]:
        problems = [problem for _, answer in self.answers for problem in answer.problems]
        count = sum(len(answer.parsed.regions) for _, answer in self.answers)
        if problems:
            return "look", f"{len(problems)} regions could not be read, such as {problems[0].text!r}"
        return "ok", f"{count} regions in {len(self.answers)} answers, all read"

    def speed(self) -> tuple[Verdict, str]:
        image, entry = self.samples[-1]
        fresh = open_image(255 - image.pixels)  # not read before
        first, tokens, seconds = self._timed(fresh, entry)
        again, _, _ = self._timed(fresh, entry)
        rate = f"{tokens / seconds:.1f} tokens/s" if tokens > 1 and seconds > 0 else "too short to time"
        return "ok", f"first token after {first:.2f} s, {again:.2f} s for a second question; {rate}"

    def memory(self) -> tuple[Verdict, str]:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return "ok", f"peak of the process {peak / 2**30:.2f} GiB{_on_gpu()}"

    def _ask(self, image: GeoImage, entry: dict[str, Any], tokens: GenerationSettings | None = None) -> Answer:
        return self.chat.ask(image, _question(entry, tokens))

    def _timed(self, image: GeoImage, entry: dict[str, Any]) -> tuple[float, int, float]:
        """Measure seconds to the first piece, number of tokens, and seconds for the rest."""
        prepared = self.chat.start(image).prepare(Question("Describe the image.", task=Task.CAPTION), alone=True)
        if prepared.request is None:
            prepared = self.chat.start(image).prepare(_question(entry, None), alone=True)
        if prepared.request is None:
            return 0.0, 0, 0.0
        started = time.perf_counter()
        first: float | None = None
        tokens = 0
        for chunk in self.chat.engine.stream(prepared.request):
            first = time.perf_counter() - started if first is None else first
            tokens = chunk.usage.completion_tokens if chunk.usage else tokens
        return first or 0.0, tokens, time.perf_counter() - started - (first or 0.0)


def _question(entry: dict[str, Any], generation: GenerationSettings | None) -> Question:
    regions = [entry["region"]] if "region" in entry else []
    return Question(entry["question"], regions=regions, task=entry["task"], generation=generation)


def _tokenizer(chat: GeoChat) -> Any:  # noqa: ANN401 - transformers' tokenizers have no common type
    """Return the tokenizer of an engine in this process; None for other engines."""
    engine: Any = chat.engine
    while not hasattr(engine, "checkpoint") and hasattr(engine, "engine"):
        engine = engine.engine
    return engine.checkpoint.processor.tokenizer if hasattr(engine, "checkpoint") else None


def _survives(text: str, tokenizer: Any) -> bool:  # noqa: ANN401
    """Return whether a text equals its decoded tokens, ignoring spaces."""
    decoded = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"])
    return "".join(str(decoded).split()) == "".join(text.split())


def _on_gpu() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return ""
    return f", {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB on the GPU"


def _told(error: Exception) -> str:
    return " ".join(f"{error or type(error).__name__}".split())
