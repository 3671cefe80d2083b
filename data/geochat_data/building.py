"""From records to training samples: conversations about each image, one question a sample or packed as turns."""

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
    Balance,
    Choice,
    Conversation,
    Subject,
    Turn,
    build_conversation,
    build_dialogue,
)
from geochat_data.readers import UCM_SCENES
from geochat_data.readers.report import Report, images_may_fail
from geochat_data.records import LabelledImage, LabelledObject
from geochat_data.samples import Sample

_VISIBLE, _WHOLE = 0.5, 0.98  # shares of an object that a model sees
_NOTHING = 1e-6  # of a pixel


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How many questions, of which kinds, in which words.

    Attributes:
        dialect: How the checkpoint they are for is asked and writes regions.
        questions: Fewest and most questions an image; fewer where its labels offer no more.
        packed: Whether they become the turns of one sample, as in GeoChat_Instruct; else each is a sample.
        dialogues: Share of the images that also get a conversation whose questions build on one another.
        wording: Which wordings to draw from; "held out" makes a measuring set.
        scenes: The scene classes to choose between; none takes UC Merced's.
        shares: How often each kind of question is tried, relative to the others.
        seed: Where all chance comes from.

    Raises:
        SettingsError: A number is out of range.
    """

    dialect: Dialect
    questions: tuple[int, int] = (6, 10)
    packed: bool = False
    dialogues: float = 0.2
    wording: Choice = "varied"
    scenes: tuple[str, ...] = ()
    shares: Mapping[str, float] = field(default_factory=lambda: FULL_SHARES)
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.questions[0] <= self.questions[1]:
            raise SettingsError(f"questions={self.questions} is no range from 1 up; give fewest and most")
        if not 0 <= self.dialogues <= 1:
            raise SettingsError(f"dialogues={self.dialogues} is no share; give a number from 0 to 1")


def build_samples(
    records: Iterable[LabelledImage], images: Path, settings: BuildSettings, report: Report | None = None
) -> Iterator[Sample]:
    """Samples about each record, in order; the same for the same records and settings.

    Args:
        records: What is asked about.
        images: The folder the samples' images are relative to. Files outside it are refused; records without a file,
            such as windows of a raster, are written into it as PNG.
        settings: How many questions, of which kinds, in which dialect.
        report: Counts images that cannot be read, and notes those nothing can be asked about and why.

    Raises:
        DataError: A record's file is not below `images`, or an image cannot be written.
        ImageError: There is no report and an image cannot be read.
    """
    balance = Balance()
    for number, record in enumerate(records):
        with images_may_fail(report):
            yield from _samples_of(record, number, images, settings, balance=balance, report=report)


def _samples_of(
    given: LabelledImage,
    number: int,
    images: Path,
    settings: BuildSettings,
    *,
    balance: Balance,
    report: Report | None,
) -> Iterator[Sample]:
    record = _askable(given, settings.dialect)
    rng = random.Random(f"{settings.seed}/{number}")
    talks = list(_conversations(record, rng, settings, balance))
    if not talks:
        if report is not None:
            report.note(_why_nothing(given, record), str(record.path or record.name))
        return
    name = _image_name(record, images, number)
    for part, turns in enumerate(talks):
        messages = [m for t in turns for m in (Message("user", t.question), Message("assistant", t.answer))]
        yield Sample(f"{Path(name).stem}-{number}-{part}", name, tuple(messages))


def _why_nothing(given: LabelledImage, record: LabelledImage) -> str:
    """Why nothing was asked about a record."""
    if given.objects and not record.objects:
        return "image whose objects the model cannot see, or are too small to be written"
    if not (record.objects or record.ignore or record.scene or record.captions or record.labelled):
        return "image of which nothing is known"
    return "image about which no question of these kinds can be asked"


def _conversations(
    record: LabelledImage, rng: random.Random, settings: BuildSettings, balance: Balance
) -> Iterator[tuple[Turn, ...]]:
    talk: Conversation | None = build_conversation(
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
    if talk and talk.turns:
        yield from [talk.turns] if settings.packed else [(turn,) for turn in talk.turns]
    if rng.random() < settings.dialogues:
        talk = build_dialogue(record, rng, dialect=settings.dialect, wording=settings.wording)
        if talk:
            yield talk.turns


def _askable(record: LabelledImage, dialect: Dialect) -> LabelledImage:
    """The record with objects the model cannot see, or could not write, among those not to be asked about."""
    record = _seen(record, dialect)
    boxes = zip(record.objects, Subject(record, random.Random(), dialect).boxes(record.objects), strict=True)
    lost = {item for item, box in boxes if not dialect.keeps_area(box)}
    if not lost:
        return record
    kept = tuple(item for item in record.objects if item not in lost)
    return replace(record, objects=kept, ignore=(*record.ignore, *(i for i in record.objects if i in lost)))


def _seen(record: LabelledImage, dialect: Dialect) -> LabelledImage:
    """The record as a model sees it that cuts a square from the middle: nobody knows what it makes of what is outside.

    Objects more than half outside the square are doubtful, those with less than 98 % inside are cut.
    """
    image, scale = rectangle(0, 0, record.width, record.height), dialect.model_frame.scale
    to_view = Frame((record.width, record.height), model=dialect.model_frame).model_to_view
    square = transform_geometry(rectangle(0, 0, scale, scale), to_view)
    if square.buffer(_NOTHING).covers(image):
        return record
    kept: list[LabelledObject] = []
    doubtful = list(record.ignore)
    for item in record.objects:
        inside = Shape(item.polygon).intersection(image)
        share = inside.intersection(square).area / inside.area if inside.area else 0.0
        cut = replace(item, truncated=item.truncated or share < _WHOLE)
        (kept if share >= _VISIBLE else doubtful).append(cut)
    return replace(record, objects=tuple(kept), ignore=tuple(doubtful))


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
