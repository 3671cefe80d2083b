"""Search of a whole scene: each object once, streamed and as a layer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import shapely

from geochat.assistant import Answer, Question
from geochat.engines import Engine, GenerationSettings
from geochat.errors import PromptError, SettingsError
from geochat.exports import Feature, Layer, write_layer
from geochat.find.asking import Asking, JobOptions, Progress, options_of
from geochat.find.limiting import BoxLimit
from geochat.find.looking import Look, LookOptions
from geochat.find.merging import BOX, IOU, Boxes, Merger
from geochat.find.objects import COLUMNS, FoundObject, found_objects
from geochat.find.windows import search_side
from geochat.geometry import OrientedBox
from geochat.geometry.overlap import box_corners
from geochat.imagery import Scene, Window
from geochat.journal import Entry
from geochat.models import ModelInfo
from geochat.prompts import Task

MAX_BOXES = 100
"""Boxes of one answer at most."""

_DIGITS = 3  # of a pixel


class FindOptions(LookOptions, JobOptions, total=False):
    """Options of a search; see also `LookOptions` and `JobOptions`.

    Attributes:
        max_boxes: Boxes of one phrase in one window at most.
        min_score: Minimum score of objects; None takes the checkpoint's. Objects without a score are kept.
        limit: Number of objects after which the search stops; None searches the whole scene.
        iou: Intersection over union from which boxes of two windows are one object.
        raw: Whether phrases go to the model unchanged, even if it knows only trained wordings.
        generation: Generation settings; None is greedy, with at most 512 tokens.
        on_progress: Called after each window.
    """

    max_boxes: int
    min_score: float | None
    limit: int | None
    iou: float
    raw: bool
    generation: GenerationSettings | None
    on_progress: Callable[[Progress], object] | None


def find_look(scene: Scene, info: ModelInfo, options: Mapping[str, Any]) -> Look:
    """The windows of a search, which show the scene at the resolution at which the model finds objects best.

    Args:
        scene: The scene, open.
        info: The model.
        options: Of `FindOptions`, those of `LookOptions` are used.

    Raises:
        GeoChatError: As `Look`.
    """
    chosen = options_of(LookOptions, options)
    if chosen.get("window") is None:
        chosen["window"] = search_side(info.image_size, scene.gsd, info.settings.object_resolution)
    return Look(scene, info, **chosen)


class Finding:
    """A search of a scene. Iterating computes, and yields each object as soon as no later window can change it.

    Results are recorded in the job's folder, so iterating again, here or after a kill, resumes the computation and
    yields from the first object again. `objects`, `save` and `not_looked_at` read the records without computing; for an
    interrupted search, they return the results so far.

    Args:
        engine: The engine to use.
        scene: The scene, open.
        phrases: Phrases of the objects to find.
        options: See `FindOptions`.

    Raises:
        PromptError: There is no phrase, or one is outside what the model knows.
        SettingsError: An option is impossible, or the job's folder holds another job.
        RegionError: The area cannot be read, or is not on the scene.
        ImageError: The scene cannot be read.
        DataError: The job's folder cannot be written.

    Attributes:
        phrases: Phrases of the objects to find, without duplicates.
        look: The scene and the windows.
        asking: The questions, and the job in which answers are recorded.
        least: Minimum score of objects.
        improbable: Number of objects that the last pass over the records left out, because their score is lower.
        progress: Progress.
    """

    def __init__(self, engine: Engine, scene: Scene, phrases: Sequence[str], **options: Unpack[FindOptions]) -> None:
        self.phrases = tuple(dict.fromkeys(phrase.strip() for phrase in phrases if phrase.strip()))
        if not self.phrases:
            raise PromptError('there is nothing to find; name something, such as "ships"')
        self._most = options.get("max_boxes", MAX_BOXES)
        self._limit, self._iou = options.get("limit"), options.get("iou", IOU)
        least, confidence = options.get("min_score"), engine.info.settings.box_confidence
        self.least = least if least is not None else confidence.minimum if confidence else 0.0
        self._tell = options.get("on_progress")
        _check(self._most, self._limit, self._iou)
        self._info = engine.info
        self.look = find_look(scene, engine.info, options)
        raw, generation = options.get("raw", False), options.get("generation") or GenerationSettings()
        self.asking = Asking(
            BoxLimit(engine, self._most),
            self.look,
            [Question(phrase, task=Task.REFER, raw=raw, generation=generation) for phrase in self.phrases],
            self._record,
            {"kind": "find", "max_boxes": self._most, "generation": repr(generation), "confidence": repr(confidence)},
            **options_of(JobOptions, options),
        )
        self.progress = self.asking.progress()
        self.improbable = 0
        self._has_enough = False

    def __iter__(self) -> Iterator[FoundObject]:
        """Compute, and yield the objects as they are settled, from the top of the scene down."""
        with closing(self.asking.run()) as work:
            for found, each in enumerate(self._found(work), 1):
                self.progress = replace(self.progress, found=found)
                yield each

    @property
    def complete(self) -> bool:
        """Return whether all windows are recorded, by any process, or the limit of objects is reached."""
        return self._has_enough or self.asking.job.complete

    def objects(self) -> Iterator[FoundObject]:
        """The objects found so far, from the recorded windows."""
        return self._found(None)

    def looked_at(self) -> Iterator[Window]:
        """The windows searched so far."""
        for _, entries in self.asking.rows():
            yield from (self.look.plan.window(number) for number, entry in entries.items() if "answers" in entry)

    @property
    def others(self) -> int:
        """Number of boxes dropped because the model labelled them with another name than the requested one."""
        entries = (entry for _, row in self.asking.rows() for entry in row.values())
        return sum(answer.get("others", 0) for entry in entries for answer in entry.get("answers", ()))

    def not_looked_at(self) -> Iterator[Feature]:
        """The windows with missing or incomplete results, with the reason."""
        return self.asking.not_looked_at()

    def features(self) -> Iterator[Feature]:
        """The objects recorded so far, as rows of `layer`."""
        prompts = dict(zip(self.phrases, self.asking.prompts, strict=True))
        model = {"model": self._info.name, "model_sha256": self._info.sha256}
        return (each.to_feature({"prompt": prompts[each.phrase], **model}) for each in self.objects())

    @property
    def layer(self) -> Layer:
        """Header of the layer: the properties that its objects share."""
        return Layer(self.look.place, COLUMNS, self.provenance, image=self.look.name, view=self.look.overview)

    @property
    def provenance(self) -> dict[str, Any]:
        """Provenance of the objects, JSON-ready."""
        own = {"phrases": list(self.phrases), "merged_at_iou": self._iou, "min_score": self.least}
        return {**self.asking.provenance(), **own}

    def save(self, path: str | Path, format: str | None = None) -> Path:
        """Write a layer of the objects recorded so far, and the table of windows that were not looked at.

        Args:
            path: Its suffix chooses the format; see `geochat.exports.write_layer`.
            format: A name of `geochat.exports.EXPORTERS`, in place of the suffix.

        Raises:
            ExportError: It cannot be written.
        """
        return write_layer(path, self.layer, self.features(), format=format, not_looked_at=self.not_looked_at())

    def _found(self, work: Iterator[None] | None) -> Iterator[FoundObject]:
        """The objects, from the top of the scene down.

        Args:
            work: Records a window each time it is advanced; where it ends early, other processes do the rest. None
                takes what is recorded.
        """
        merger, found, improbable = Merger(self.look.scene.size, self._iou), 0, 0
        for boxes in self._settled(merger, work):
            improbable += int((boxes["score"] < self.least).sum())
            self.improbable = improbable
            for each in found_objects(self._wanted(boxes), self.phrases, self.look.place):
                found += 1
                yield each
                if found == self._limit:
                    self._has_enough = True
                    return

    def _settled(self, merger: Merger, work: Iterator[None] | None) -> Iterator[Boxes]:
        for row, entries in self.asking.rows(work, self._advanced):
            yield merger.settled(row.top)
            merger.add(self._boxes(entries))
        if work is None or self.complete:
            yield merger.settled()

    def _advanced(self) -> None:
        self.progress = self.asking.progress(self.progress.found)
        if self._tell is not None:
            self._tell(self.progress)

    def _boxes(self, entries: Mapping[int, Entry]) -> Boxes:
        """Return the boxes of the searched windows."""
        boxes: list[tuple[object, ...]] = []
        for number, entry in entries.items():
            bounds = self.look.plan.window(number).bounds
            for phrase, answer in enumerate(entry.get("answers", ())):
                for *box, score in answer["boxes"]:
                    boxes.append((box, np.nan if score is None else score, phrase, bounds, number))
        return np.array(boxes, BOX)

    def _wanted(self, objects: Boxes) -> Boxes:
        """Return whether an object has enough score and lies in the area; an unknown score is enough."""
        kept = np.ones(len(objects), np.bool_)
        kept &= ~(objects["score"] < self.least)
        if self.look.plan.area is not None:
            kept &= shapely.intersects(self.look.plan.area, shapely.polygons(box_corners(objects["box"])))
        return objects[kept]

    def _record(self, answer: Answer) -> dict[str, Any]:
        """Return the record of an answer; regions that the model labels with another name are counted separately."""
        named = [region for region in answer.regions if region.as_asked is not False]
        boxes = [(_box(region.geometry), region.score) for region in named[: self._most]]
        counts = {
            "others": len(answer.regions) - len(named),
            "flat": sum(not box.area for box, _ in boxes),
            "unread": len(answer.problems),
        }
        finish = {} if answer.finish == "stop" else {"finish": answer.finish}
        listed = [[*_numbers(box), score] for box, score in boxes if box.area]
        return {"boxes": listed, **{name: count for name, count in counts.items() if count}, **finish}


def _box(shape: OrientedBox | shapely.Geometry) -> OrientedBox:
    """Return a region in pixels, or the box around it."""
    return shape if isinstance(shape, OrientedBox) else OrientedBox.from_polygon(shape)


def _numbers(box: OrientedBox) -> list[float]:
    return [round(number, _DIGITS) for number in (box.x1, box.y1, box.x2, box.y2, box.angle)]


def _check(most: int, limit: int | None, iou: float) -> None:
    if most < 1:
        raise SettingsError(f"max_boxes={most} leaves nothing to be found; give 1 or more")
    if limit is not None and limit < 1:
        raise SettingsError(f"limit={limit} asks for no object; give 1 or more, or None for all")
    if not 0 < iou <= 1:
        raise SettingsError(f"iou={iou:g} is no intersection over union; give more than 0 and at most 1")
