"""Judging of candidates from any detector: named, scored, and kept or rejected.

A model that names a marked object more reliably than it finds objects judges the candidates of another detector.
Questions about each candidate are asked in a window around it, and the answers are recorded in a job, as in a search.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Unpack

from geochat.assistant import Answer, Question
from geochat.assistant.layers import Skipped, layer_boxes
from geochat.assistant.table import answer_score
from geochat.engines import Engine, GenerationSettings
from geochat.errors import PromptError, SettingsError
from geochat.exports import (
    Feature,
    VectorLayer,
    answered_geojson,
    check_target,
    read_vector_layer,
    write_answered_geopackage,
    write_geojson,
)
from geochat.find.asking import Asking, JobOptions, Progress, options_of, unknown
from geochat.find.candidates import LEAST_SIDE, Candidate, CandidatePlan, Verdict
from geochat.find.looking import Look, LookOptions
from geochat.find.windows import search_side
from geochat.geometry import Frame, OrientedBox
from geochat.imagery import Scene
from geochat.journal import Entry
from geochat.prompts import Task
from geochat.prompts.phrases import same_thing, singular, with_article

Method = Literal["identify", "presence"]
"""Way of judging a candidate: by its name, or by a yes or no to each phrase."""

SUFFIXES = (".gpkg", ".geojson", ".json")
"""Of the files in which judged candidates are written."""


class ProposalOptions(LookOptions, JobOptions, total=False):
    """Options of judging candidates; see also `LookOptions`, whose `window` is the minimum side here, and `JobOptions`.

    Attributes:
        method: "identify" asks for the candidate's name, "presence" whether there is what a phrase names; None takes
            the first of these that the model was trained for.
        min_score: Minimum score of candidates; candidates without a score are not rejected.
        generation: Generation settings; None is greedy, with at most 512 tokens.
        on_progress: Called after each candidate.
    """

    method: Method | None
    min_score: float | None
    generation: GenerationSettings | None
    on_progress: Callable[[Progress], object] | None


class Proposals:
    """Candidates on a scene. Iterating computes in the layer's order and records the results in the job.

    Args:
        engine: The engine to use.
        scene: The scene, open.
        layer: The candidates: polygons in any CRS, or in pixels where the layer is marked so; or the file.
        phrases: Phrases that a candidate may match.
        options: See `ProposalOptions`.

    Raises:
        PromptError: There is no phrase, one is outside what the model knows, or it was trained for neither method.
        RegionError: The layer cannot be read or laid on the scene, or none of its features can be asked about.
        SettingsError: An option is impossible, or the job's folder holds another job.
        ImageError: The scene cannot be read.
        DataError: The job's folder cannot be written.

    Attributes:
        phrases: Phrases that a candidate may match, without duplicates.
        layer: The candidates.
        look: The scene and the windows around the candidates.
        method: Method of judging.
        progress: Progress.
    """

    def __init__(
        self,
        engine: Engine,
        scene: Scene,
        layer: VectorLayer | str | Path,
        phrases: Sequence[str],
        **options: Unpack[ProposalOptions],
    ) -> None:
        self.phrases = tuple(dict.fromkeys(phrase.strip() for phrase in phrases if phrase.strip()))
        if not self.phrases:
            raise PromptError('there is nothing to keep; name something, such as "ships"')
        self._least, self._tell = options.get("min_score"), options.get("on_progress")
        self.method = _method(engine, options.get("method"))
        self.layer = layer if isinstance(layer, VectorLayer) else read_vector_layer(layer)
        self.look = Look(scene, engine.info, **options_of(LookOptions, options))
        boxes = layer_boxes(self.layer, Frame(scene.size, image_to_map=scene.image_to_map, crs=scene.crs))
        self._plan = CandidatePlan.around(boxes, scene.size, self._window_side(engine, scene, options.get("window")))
        self.look.plan = self._plan
        generation = options.get("generation") or GenerationSettings()
        self.asking = Asking(
            engine,
            self.look,
            self._questions(generation),
            _record,
            {"kind": "proposals", "method": self.method, "generation": repr(generation)},
            region=self._plan.box if self.method == "identify" else None,
            **options_of(JobOptions, options),
        )
        self.progress = self.asking.progress()

    def __iter__(self) -> Iterator[Candidate]:
        """Compute, and yield the candidates in the layer's order, including those that cannot be judged."""
        with closing(self.asking.run()) as work:
            rows = self.asking.rows(work, self._advanced)
            for number, box in enumerate(self._plan.boxes):
                if isinstance(box, OrientedBox) and next(rows, None) is None:
                    return  # other processes do the rest
                yield self._judged(number)

    @property
    def complete(self) -> bool:
        """Return whether all candidates are recorded, by any process."""
        return self.asking.job.complete

    def candidates(self) -> Iterator[Candidate]:
        """All candidates in the layer's order; those not reached yet are unread."""
        return (self._judged(number) for number in range(len(self._plan)))

    def not_looked_at(self) -> Iterator[Feature]:
        """The windows around unread candidates, with the reason; for those in no window, the whole scene."""
        for each in self.candidates():
            if each.verdict == "unread":
                place = isinstance(self._plan.boxes[each.number - 1], OrientedBox)
                window = self._plan.window(each.number - 1) if place else self.look.scene.window
                yield self.look.feature(window, {"window": list(window), "reason": each.reason})

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the judgements, JSON-ready."""
        own = {"proposals": str(self.layer.path), "method": self.method, "phrases": list(self.phrases)}
        return {**self.asking.provenance(), **own, "min_score": self._least}

    def describe(self) -> str:
        """The question, in a sentence."""
        asked, total = self._plan.count, len(self._plan)
        left = "" if asked == total else f"; {total - asked:,} cannot be asked about"
        how = "for its name" if self.method == "identify" else "whether it is there"
        return f"Candidates: {asked:,}, each asked {how} in a window of {self._plan.side} pixels or more{left}."

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write the layer with every attribute, and the judgements recorded so far as columns.

        A column of the layer with one of these names is renamed with the prefix "layer_".

        Args:
            path: Ends in .gpkg, .geojson or .json.
            format: Must be None: the file's ending chooses the format.

        Raises:
            ExportError: It cannot be written.
            SettingsError: A format is given.
        """
        if format is not None:
            raise SettingsError(f"judged candidates are written by the file's ending, not as {format!r}; leave it out")
        path = check_target(path, SUFFIXES)
        rows = [each.to_dict() for each in self.candidates()]
        added = {name: [row[name] for row in rows] for name in rows[0] if name != "number"}
        model = self.provenance
        added |= {name: [model[name]] * len(rows) for name in ("model", "model_sha256")}
        if path.suffix.lower() == ".gpkg":
            return write_answered_geopackage(path, self.layer, added, model)
        return write_geojson(path, answered_geojson(self.layer, added, model))

    def _window_side(self, engine: Engine, scene: Scene, window: int | tuple[int, int] | None) -> int:
        """Return the minimum side of a window; for `presence`, the window shows the candidate alone."""
        if window is not None:
            return window if isinstance(window, int) else max(window)
        if self.method == "presence":
            return LEAST_SIDE
        return search_side(engine.info.image_size, scene.gsd, engine.info.settings.object_resolution)

    def _questions(self, generation: GenerationSettings) -> list[Question]:
        if self.method == "identify":
            return [Question("", task=Task.IDENTIFY, generation=generation)]
        return [
            Question(
                f"Is there {with_article(singular(phrase))} in the image?",
                task=Task.VQA,
                choices=("yes", "no"),
                generation=generation,
            )
            for phrase in self.phrases
        ]

    def _advanced(self) -> None:
        self.progress = self.asking.progress()
        if self._tell is not None:
            self._tell(self.progress)

    def _judged(self, number: int) -> Candidate:
        """Return a candidate by its index from 0, with its judgement if recorded."""
        box = self._plan.boxes[number]
        if isinstance(box, Skipped):
            return Candidate(number + 1, "unread", reason=box.reason)
        entry: Entry | None = self.asking.job.entry(number)
        reason = unknown(entry)
        if entry is None or reason:
            return Candidate(number + 1, "unread", reason=reason)
        answers = entry["answers"]
        return self._named(number + 1, answers[0]) if self.method == "identify" else self._affirmed(number + 1, answers)

    def _named(self, number: int, answer: Mapping[str, Any]) -> Candidate:
        name, score, prompt = answer["text"], answer["score"], answer["prompt"]
        if not name:
            return Candidate(number, "unread", reason="the answer is empty", prompt=prompt)
        phrase = next((phrase for phrase in self.phrases if same_thing(phrase, name)), None)
        return self._scored(number, name, phrase, score, prompt)

    def _affirmed(self, number: int, answers: Sequence[Mapping[str, Any]]) -> Candidate:
        said = [
            (answer["choice"], answer["score"], phrase) for answer, phrase in zip(answers, self.phrases, strict=True)
        ]
        prompt = " | ".join(answer["prompt"] for answer in answers)
        affirmed = [each for each in said if each[0] == "yes"]
        if not affirmed and any(choice is None for choice, _, _ in said):
            return Candidate(number, "unread", reason="an answer is neither yes nor no", prompt=prompt)
        _, score, phrase = max(affirmed or said, key=lambda each: -1.0 if each[1] is None else each[1])
        named = phrase if affirmed else None
        return self._scored(number, named, named, score, prompt)

    def _scored(self, number: int, name: str | None, phrase: str | None, score: float | None, prompt: str) -> Candidate:
        low = phrase is not None and self._least is not None and score is not None and score < self._least
        reason = f"its score is below {self._least:g}" if low else ""
        verdict: Verdict = "kept" if phrase is not None and not low else "rejected"
        return Candidate(number, verdict, name, phrase, score, reason, prompt)


def _method(engine: Engine, wanted: Method | None) -> Method:
    """Return the method by which candidates are judged.

    Raises:
        PromptError: The model was not trained for it.
    """
    tasks: dict[Method, Task] = {"identify": Task.IDENTIFY, "presence": Task.VQA}
    known = [name for name, task in tasks.items() if task in engine.info.settings.tasks]
    if wanted is None and known:
        return known[0]
    if wanted is None or wanted not in known:
        raise PromptError(
            f"{engine.info.name} was not trained to judge candidates by {wanted or 'name or presence'}; "
            f"it can by: {', '.join(known) or 'neither'}"
        )
    return wanted


def _record(answer: Answer) -> dict[str, Any]:
    """Return the record of an answer."""
    said = answer.choice
    score = _yes(answer) if answer.interpretation.choices else answer_score(each.logprob for each in answer.tokens)
    finish = {} if answer.finish == "stop" else {"finish": answer.finish}
    text = " ".join(answer.plain_text.split())
    return {"text": text, "choice": said, "score": score, "prompt": answer.prompt, **finish}


def _yes(answer: Answer) -> float | None:
    """Return the probability of yes, if the engine scores the offered answers."""
    return next((each.probability for each in answer.completion.choices if each.text == "yes"), None)
