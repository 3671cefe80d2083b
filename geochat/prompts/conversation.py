"""Messages, and their Vicuna-v1 conversation format.

The conversation format is a Jinja chat template saved in every checkpoint, so transformers, vLLM and training
render the same text. It marks the assistant's words with `{% generation %}`, from which training labels are made. The
published model was trained with "curious user" in its system prompt and evaluated with "curious human"; the latter is
the default here because the published figures were measured with it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from geochat.errors import PromptError

SYSTEM_PROMPT = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
IMAGE_TOKEN = "<image>"
_RESERVED = (IMAGE_TOKEN, "<s>", "</s>", "<unk>")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Role of the speaker.
        text: Text of the turn, without the image placeholder.

    Raises:
        PromptError: The text holds a token that the model reserves, such as `<image>`, or characters that are none.
    """

    role: Literal["system", "user", "assistant"]
    text: str

    def __post_init__(self) -> None:
        reserved = next((token for token in _RESERVED if token in self.text), None)
        if reserved:
            raise PromptError(f"the {self.role}'s text holds {reserved}, which the model reserves; remove it")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            bad = self.text[error.start]
            raise PromptError(
                f"the {self.role}'s text holds {bad!a}, which is no character; write it in UTF-8"
            ) from error


def chat_template(system_prompt: str = SYSTEM_PROMPT) -> str:
    """Return the Jinja chat template; `system_prompt` opens conversations without their own."""
    source = (files("geochat.prompts") / "chat_template.jinja").read_text(encoding="utf-8")
    return source.replace("@SYSTEM@", json.dumps(system_prompt, ensure_ascii=False))


def chat_messages(messages: Iterable[Message], *, with_image: bool) -> list[dict[str, Any]]:
    """Return messages in the form of `apply_chat_template`, with the image before the first user turn's text.

    Raises:
        PromptError: There is an image and no user turn to carry it.
    """
    chat = [{"role": m.role, "content": [{"type": "text", "text": m.text}]} for m in messages]
    if with_image:
        first = next((turn for turn in chat if turn["role"] == "user"), None)
        if first is None:
            raise PromptError("the conversation has an image and no user turn; ask a question first")
        first["content"] = [{"type": "image"}, *first["content"]]
    return chat
