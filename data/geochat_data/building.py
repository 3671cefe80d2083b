"""From records to training samples: conversations about each image, one question a sample or packed as turns."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from geochat.errors import DataError, SettingsError
from geochat.prompts import Message
from geochat.regions import format_box, parse
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
from geochat_data.records import LabelledImage
from geochat_data.samples import Sample


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How many questions, of which kinds, in which words.

    Attributes:
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
    records: Iterable[LabelledImage], images: Path, settings: BuildSettings | None = None
) -> Iterator[Sample]:
    """Samples about each record, in order; the same for the same records and settings.

    Args:
        records: What is asked about.
        images: The folder the samples' images are relative to. Files outside it are refused; records without a file,
            such as windows of a raster, are written into it as PNG.
        settings: How many questions, of which kinds.

    Raises:
        DataError: A record's file is not below `images`, or an image cannot be written.
    """
    settings = settings or BuildSettings()
    balance = Balance()
    for number, record in enumerate(map(_writable, records)):
        rng = random.Random(f"{settings.seed}/{number}")
        talks = list(_conversations(record, rng, settings, balance))
        if not talks:
            continue
        name = _image_name(record, images, number)
        for part, turns in enumerate(talks):
            messages = [m for t in turns for m in (Message("user", t.question), Message("assistant", t.answer))]
            yield Sample(f"{Path(name).stem}-{number}-{part}", name, tuple(messages))


def _conversations(
    record: LabelledImage, rng: random.Random, settings: BuildSettings, balance: Balance
) -> Iterator[tuple[Turn, ...]]:
    talk: Conversation | None = build_conversation(
        record,
        rng,
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
        talk = build_dialogue(record, rng, wording=settings.wording)
        if talk:
            yield talk.turns


def _writable(record: LabelledImage) -> LabelledImage:
    """The record with objects too small to be written in whole percent among those not to be asked about."""
    boxes = zip(record.objects, Subject(record, random.Random()).boxes(record.objects), strict=True)
    lost = {item for item, box in boxes if parse(format_box(box)).regions[0].box.area == 0}
    if not lost:
        return record
    kept = tuple(item for item in record.objects if item not in lost)
    return replace(record, objects=kept, ignore=(*record.ignore, *(i for i in record.objects if i in lost)))


def _image_name(record: LabelledImage, images: Path, number: int) -> str:
    if record.path is not None:
        try:
            return record.path.resolve().relative_to(images.resolve()).as_posix()
        except ValueError:
            raise DataError(f"{record.path} is not below {images}; give a folder above it with --image-root") from None
    name = f"{record.name or 'scene'}-{number:06d}.png"
    try:
        images.mkdir(parents=True, exist_ok=True)
        record.open().save(images / name)
    except OSError as error:
        raise DataError(f"{images / name} cannot be written: {error.strerror}; choose another --image-root") from error
    return name
