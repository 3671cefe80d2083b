"""Training samples, and the files that hold them.

A sample is a conversation about one image or none. Conversations that the original trainer would mask completely or
corrupt silently - an empty answer, a question at the end, a text that contains the template's own marks - are refused
here with a reason, so that a reader can count them.

Files are GeoChat_Instruct's JSON array, or JSON lines of the same rows. Both are read and written row by row, so that a
file of any size takes a few megabytes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat.errors import DataError, PromptError
from geochat.files import atomic_draft
from geochat.prompts import IMAGE_TOKEN, Message
from geochat_data.readers.json_files import is_json_array, read_json_items
from geochat_data.readers.report import Report

_ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant"}
_NAMES = {"user": "human", "assistant": "gpt"}
_ROLE_MARK = re.compile(r"\b(USER|ASSISTANT):")


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation to train on.

    Attributes:
        id: Name of the sample in its file.
        image: The image's path below the folder of images, None for a conversation without one.
        messages: Questions and answers in turn, a question first and an answer last, without the image placeholder.
    """

    id: str
    image: str | None
    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        check_messages(self.messages)


def check_messages(messages: Sequence[Message]) -> None:
    """Refuse a conversation that cannot be trained on.

    Raises:
        DataError: Questions and answers do not alternate; an answer is empty; or a text holds "USER:" or "ASSISTANT:",
            which would end the turn where labels or answers are cut at the template's marks.
    """
    if not messages or messages[-1].role != "assistant":
        raise DataError("a training conversation must end with the assistant's answer; add it or remove the question")
    spoken = [message for message in messages if message.role != "system"]
    if any(message.role != ("user", "assistant")[index % 2] for index, message in enumerate(spoken)):
        raise DataError("questions and answers must alternate, beginning with a question; correct the turns")
    for message in messages:
        if message.role == "assistant" and not message.text.strip():
            raise DataError("an answer in a training conversation is empty; remove the turn or fill it")
        if found := _ROLE_MARK.search(message.text):
            raise DataError(f"a turn holds the mark {found.group()!r}, which ends a turn in the template; reword it")


def from_published(row: Any, number: int) -> Sample:  # noqa: ANN401 - decoded JSON
    """Make a sample of a row of GeoChat_Instruct: `id`, `image`, `conversations` of `from` and `value`.

    As in the original, turns before the first question are dropped, and the image placeholder moves to the front.

    Args:
        row: The decoded row.
        number: Replaces a missing id.

    Raises:
        DataError: The row has another shape, more than one image, an image without its placeholder or the reverse,
            or a conversation that cannot be trained on.
    """
    try:
        image = row.get("image")
        turns = [(_ROLES[turn["from"]], turn["value"]) for turn in row["conversations"]]
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(f"a row needs `conversations` of `from` (human, gpt) and `value`: {error!r}") from error
    if not (image is None or isinstance(image, str)) or not all(isinstance(text, str) for _, text in turns):
        raise DataError("a row names several images or holds a text that is not a string; give one image and strings")
    placed = sum(text.count(IMAGE_TOKEN) for _, text in turns)
    if placed > 1:
        raise DataError(f"a row holds {placed} {IMAGE_TOKEN} placeholders; one image a conversation is supported")
    if placed != (image is not None):
        raise DataError(f"a row has an image without its {IMAGE_TOKEN} placeholder, or the reverse; give both or none")
    first = next((index for index, (role, _) in enumerate(turns) if role == "user"), len(turns))
    try:
        messages = tuple(Message(role, _without_image(text)) for role, text in turns[first:])  # type: ignore[arg-type]
    except PromptError as error:
        raise DataError(str(error)) from error
    return Sample(str(row.get("id", number)), image, messages)


def to_published(sample: Sample) -> dict[str, Any]:
    """Convert a sample to a row of GeoChat_Instruct."""
    turns = [{"from": _NAMES.get(m.role, m.role), "value": m.text} for m in sample.messages if m.role != "system"]
    if sample.image is None:
        return {"id": sample.id, "conversations": turns}
    turns[0]["value"] = f"{IMAGE_TOKEN}\n{turns[0]['value']}"
    return {"id": sample.id, "image": sample.image, "conversations": turns}


def _without_image(text: str) -> str:
    return text.replace(IMAGE_TOKEN, "").strip() if IMAGE_TOKEN in text else text


def read_samples(path: Path, report: Report | None = None) -> Iterator[Sample]:
    """Read the samples of a .json or .jsonl file, in order; unusable rows are counted and skipped.

    Raises:
        DataError: The file cannot be read, is not a JSON array, or `report` is strict and a row cannot be used.
    """
    report = Report() if report is None else report
    for number, where, row in _rows(path, report):
        try:
            sample = from_published(row, number)
        except DataError as error:
            report.skip(str(error), where)
        else:
            report.used += 1
            yield sample


def write_samples(
    path: Path, samples: Iterable[Sample], to_row: Callable[[Sample], dict[str, Any]] = to_published
) -> int:
    """Write samples as .json or .jsonl by the file's name, atomically; returns their number.

    Args:
        path: The file.
        samples: In order.
        to_row: Returns a sample's row.

    Raises:
        DataError: The name has another ending or the file cannot be written.
    """
    check_ending(path)
    array = path.suffix == ".json"
    count = 0
    try:
        with atomic_draft(path) as part, part.open("w", encoding="utf-8") as file:
            file.write("[\n" if array else "")
            for count, sample in enumerate(samples, start=1):
                row = json.dumps(to_row(sample), ensure_ascii=False)
                file.write(f",\n{row}" if array and count > 1 else row if array else f"{row}\n")
            file.write("\n]\n" if array else "")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another place") from error
    return count


def check_ending(path: Path) -> None:
    """Check that a file's name ends in .json or .jsonl.

    Raises:
        DataError: It has another ending.
    """
    if path.suffix not in (".json", ".jsonl"):
        raise DataError(f"{path} is neither .json nor .jsonl; choose one of them")


def _rows(path: Path, report: Report) -> Iterator[tuple[int, str, Any]]:
    """Number, place and decoded content of each row."""
    if path.suffix == ".jsonl":
        yield from _lines(path, report)
        return
    if not is_json_array(path):
        raise DataError(f"{path} is not a JSON array of samples; GeoChat_Instruct's format begins with '['")
    for number, row in enumerate(read_json_items(path)):
        yield number, f"{path}: row {number}", row


def _lines(path: Path, report: Report) -> Iterator[tuple[int, str, Any]]:
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    with file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            try:
                if line.strip():
                    yield number, where, json.loads(line)
            except (ValueError, RecursionError):
                report.skip("not JSON", where)
