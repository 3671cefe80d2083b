"""Building of training samples from records: one question per sample, or the questions of an image as turns."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from shapely.geometry import Polygon as Shape
from shapely.geometry import box as rectangle

from geochat.dialects import Dialect
from geochat.errors import DataError, SettingsError
from geochat.files import atomic_draft
from geochat.geometry import Frame, transform_geometry
from geochat.prompts import Message
from geochat_data.questions import (
    FULL_SHARES,
    AnswerBalance,
    QAPair,
    Subject,
    WordingPool,
    build_conversation,
    build_dialogue,
)
from geochat_data.readers.report import Report, images_may_fail
from geochat_data.readers.scene_folders import UCM_SCENES
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.samples import Sample

_VISIBLE, _WHOLE = 0.5, 0.98  # shares of an object inside the model's square
_TOLERANCE = 1e-6  # pixels


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Number, kinds and wordings of questions.

    Attributes:
        dialect: The dialect of the checkpoint they are for.
        questions: Minimum and maximum number per image; fewer if its labels support no more.
        packed: Whether they become the turns of one sample, as in GeoChat_Instruct; otherwise each is a sample.
        dialogues: Share of the images that also get a dialogue, whose questions build on one another.
        wording: The wordings to draw from; "held out" makes an evaluation set.
        scenes: The scene classes to choose between; empty for UC Merced's.
        shares: Relative frequency with which each kind of question is tried.
        seed: The seed of all randomness.

    Raises:
        SettingsError: A number is out of range.
    """

    dialect: Dialect
    questions: tuple[int, int] = (6, 10)
    packed: bool = False
    dialogues: float = 0.2
    wording: WordingPool = "varied"
    scenes: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=lambda: FULL_SHARES)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.questions[0] <= self.questions[1]:
            raise SettingsError(f"questions={self.questions} is not a range from 1 up; give least and greatest")
        if not 0 <= self.dialogues <= 1:
            raise SettingsError(f"dialogues={self.dialogues} is not a share; give a number from 0 to 1")


def build_samples(
    records: Iterable[LabelledImage], images: Path, settings: BuildSettings, report: Report | None = None
) -> Iterator[Sample]:
    """Build samples about each record, in order; deterministic for the same records and settings.

    Args:
        records: The labelled images.
        images: The folder that the samples' images are relative to. Files outside it are refused; records without a
            file, such as windows of a raster, are written into it as PNG.
        settings: Number, kinds and wordings of questions.
        report: Counts images that cannot be read, and notes images without a question and the reason.

    Raises:
        DataError: A record's file is not below `images`, or an image cannot be written.
        ImageError: There is no report and an image cannot be read.
    """
    balance = AnswerBalance()
    for number, record in enumerate(records):
        with images_may_fail(report):
            yield from _samples_of(record, number, images, settings, balance=balance, report=report)


def _samples_of(
    given: LabelledImage,
    number: int,
    images: Path,
    settings: BuildSettings,
    *,
    balance: AnswerBalance,
    report: Report | None,
) -> Iterator[Sample]:
    record = _askable(given, settings.dialect)
    rng = random.Random(f"{settings.seed}/{number}")
    conversations = list(_conversations(record, rng, settings, balance))
    if not conversations:
        if report is not None:
            report.note(_reason_for_none(given, record), str(record.path or record.name))
        return
    name = _image_name(record, images, number)
    for part, turns in enumerate(conversations):
        messages = [m for t in turns for m in (Message("user", t.question), Message("assistant", t.answer))]
        yield Sample(f"{Path(name).stem}-{number}-{part}", name, tuple(messages))


def _reason_for_none(given: LabelledImage, record: LabelledImage) -> str:
    """Return the reason why no question was built about a record."""
    if given.objects and not record.objects:
        return "image whose objects are outside the model's square, or too small to be written"
    if not (record.objects or record.ignore or record.scene or record.captions or record.labelled):
        return "image without usable labels"
    return "image that supports no question of these kinds"


def _conversations(
    record: LabelledImage, rng: random.Random, settings: BuildSettings, balance: AnswerBalance
) -> Iterator[tuple[QAPair, ...]]:
    pairs = build_conversation(
        record,
        rng,
        dialect=settings.dialect,
        turns=rng.randint(*settings.questions),
        shares=settings.shares,
        scenes=settings.scenes or UCM_SCENES,
        wording=settings.wording,
        rich=True,
        balance=balance,
    )
    if pairs:
        yield from [pairs] if settings.packed else [(pair,) for pair in pairs]
    if rng.random() < settings.dialogues and (
        dialogue := build_dialogue(record, rng, dialect=settings.dialect, wording=settings.wording)
    ):
        yield dialogue


def _askable(record: LabelledImage, dialect: Dialect) -> LabelledImage:
    """Return the record with objects that the model cannot see or write marked as ignored."""
    record = _cropped(record, dialect)
    boxes = zip(record.objects, Subject(record, random.Random(), dialect).boxes(record.objects), strict=True)
    lost = {item for item, box in boxes if not dialect.keeps_area(box)}
    if not lost:
        return record
    kept = tuple(item for item in record.objects if item not in lost)
    return replace(record, objects=kept, ignore=(*record.ignore, *(i for i in record.objects if i in lost)))


def _cropped(record: LabelledImage, dialect: Dialect) -> LabelledImage:
    """Return the record as seen by a model that crops a central square.

    Objects more than half outside the square are ignored, those with less than 98 % inside are truncated.
    """
    size = (record.width, record.height)
    image, to_view = rectangle(0, 0, *size), Frame(size, model=dialect.model_frame).model_to_view
    square = transform_geometry(rectangle(0, 0, *dialect.model_frame.extent(size)), to_view)
    if square.buffer(_TOLERANCE).covers(image):
        return record
    kept: list[LabelledObject] = []
    ignored = list(record.ignore)
    for item in record.objects:
        inside = Shape(item.polygon).intersection(image)
        share = inside.intersection(square).area / inside.area if inside.area else 0.0
        cut = replace(item, truncated=item.truncated or share < _WHOLE)
        (kept if share >= _VISIBLE else ignored).append(cut)
    return replace(record, objects=tuple(kept), ignore=tuple(ignored))


def _image_name(record: LabelledImage, images: Path, number: int) -> str:
    if record.path is not None:
        try:
            return record.path.resolve().relative_to(images.resolve()).as_posix()
        except ValueError:
            raise DataError(f"{record.path} is not below {images}; give a folder above it with --image-root") from None
    name = f"{record.name or 'scene'}-{number:06d}.png"
    try:
        images.mkdir(parents=True, exist_ok=True)
        with atomic_draft(images / name) as draft:
            record.open().save(draft, "PNG")
    except OSError as error:
        raise DataError(f"{images / name} cannot be written: {error.strerror}; choose another --image-root") from error
    return name
