"""The training sample, and what makes one unusable.

A sample is a conversation about one image or none. What the original trainer would mask whole or mangle without a
word - an empty answer, a conversation that ends with a question, a text that holds the template's own marks - is
refused here with a reason, so that a reader can count it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from geochat.errors import DataError, PromptError
from geochat.prompts import IMAGE_TOKEN, Message

_ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant"}
_NAMES = {"user": "human", "assistant": "gpt"}
_ROLE_MARK = re.compile(r"\b(USER|ASSISTANT):")


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation to learn from.

    Attributes:
        id: Names the sample in its file.
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
        DataError: It does not go question, answer, ..., answer; an answer is empty; or a text holds "USER:" or
            "ASSISTANT:", which would end the turn wherever labels or answers are cut by the template's marks.
    """
    if not messages or messages[-1].role != "assistant":
        raise DataError("a training conversation must end with the assistant's answer; this one does not")
    spoken = [message for message in messages if message.role != "system"]
    if any(message.role != ("user", "assistant")[index % 2] for index, message in enumerate(spoken)):
        raise DataError("questions and answers do not alternate, beginning with a question; mend the turns")
    for message in messages:
        if message.role == "assistant" and not message.text.strip():
            raise DataError("an answer in a training conversation is empty; remove the turn or fill it")
        if found := _ROLE_MARK.search(message.text):
            raise DataError(f"a turn holds the mark {found.group()!r}, which ends a turn in the template; reword it")


def from_published(row: Any, number: int) -> Sample:  # noqa: ANN401 - decoded JSON
    """A sample from a row of GeoChat_Instruct: `id`, `image`, `conversations` of `from` and `value`.

    As in the original, turns before the first question are dropped and the image placeholder, wherever it stands,
    moves to the front.

    Args:
        row: The decoded row.
        number: Stands in for a missing id.

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
        raise DataError("a row names several images or holds a text that is no string; give one image and strings")
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
    """The sample as a row of GeoChat_Instruct."""
    turns = [{"from": _NAMES.get(m.role, m.role), "value": m.text} for m in sample.messages if m.role != "system"]
    if sample.image is None:
        return {"id": sample.id, "conversations": turns}
    turns[0]["value"] = f"{IMAGE_TOKEN}\n{turns[0]['value']}"
    return {"id": sample.id, "image": sample.image, "conversations": turns}


def _without_image(text: str) -> str:
    return text.replace(IMAGE_TOKEN, "").strip() if IMAGE_TOKEN in text else text
