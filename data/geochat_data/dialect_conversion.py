"""Training files from one dialect to another: conversations keep their words, their boxes are rewritten.

Boxes are converted through pixels of their image if its size is known. Otherwise, numbers over the same frame are
rescaled, others are converted as if images were square, with a note; samples whose numbers are pixels are skipped.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from geochat.dialects import Dialect, convert, convert_question, mover
from geochat.dialects.conversion import Move, needs_size
from geochat.errors import DataError, ImageError, PromptError, RegionError
from geochat.imagery import image_size
from geochat.prompts import Message
from geochat_data.readers import Report
from geochat_data.samples import Sample

_SQUARE = "image of unknown size, taken for a square one"


def convert_samples(
    samples: Iterable[Sample], source: Dialect, target: Dialect, images: Path | None, report: Report
) -> Iterator[Sample]:
    """Convert samples, in order.

    Args:
        samples: In the first dialect.
        source: The dialect of the text.
        target: The other one.
        images: The folder their images are relative to, for the images' sizes; None where they are not at hand.
        report: Notes regions that cannot be read or written, which stay as they are; counts samples that are left out.

    Raises:
        DataError: The report is strict and a sample cannot be converted.
    """
    for sample in samples:
        where = f"sample {sample.id}"
        try:
            move = _move(sample, source, target, images, report)
            yield Sample(sample.id, sample.image, tuple(_messages(sample, source, target, move, report)))
        except (RegionError, PromptError, DataError) as error:
            report.skip(f"sample that cannot be converted ({error})", where)


def _move(sample: Sample, source: Dialect, target: Dialect, images: Path | None, report: Report) -> Move:
    size = None
    if images is not None and sample.image is not None:
        try:
            size = image_size(images / sample.image)
        except ImageError as error:
            report.note("image that cannot be read, so that its size is unknown", f"{images / sample.image}: {error}")
    move = mover(source, target, size)
    if size is None and sample.image is not None and needs_size(source, target):
        report.note(_SQUARE, f"sample {sample.id}")
    return move


def _messages(sample: Sample, source: Dialect, target: Dialect, move: Move, report: Report) -> Iterator[Message]:
    for message in sample.messages:
        write = convert_question if message.role == "user" else convert
        converted = write(message.text, source, target, move)
        for problem in converted.problems:
            report.note("region left as it is", f"sample {sample.id}: {problem}")
        yield Message(message.role, converted.text)
