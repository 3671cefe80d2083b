"""Conversion of requests to request bodies."""

import base64
import io
import random
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from PIL import Image

from geochat.engines.openai.pictures import shown
from geochat.engines.protocol import Request
from geochat.errors import ImageError, PromptError
from geochat.models import ModelInfo
from geochat.prompts import chat_messages

OPTIONS = (
    "stream_options",
    "logprobs",
    "skip_special_tokens",
    "seed",
    "top_p",
    "stop",
    "max_tokens",
    "prompt_logprobs",
)
"""Names in a body that a server may not know; one that it refuses is left out from then on (`max_tokens`
goes by another name then)."""

_KEPT = 4  # images whose encoding is kept
_MOST_STOPS = 4  # more are refused by some servers; the others end the answer here


class Questions:
    """Makes request bodies for one model. Thread-safe.

    Args:
        model: Its name at the server.
        info: The facts about it.
    """

    def __init__(self, model: str, info: ModelInfo) -> None:
        self._model = model
        self._info = info
        self._lock = threading.Lock()
        self._encoded: OrderedDict[int, tuple[Image.Image, str]] = OrderedDict()

    def body(self, request: Request) -> dict[str, Any]:
        """Return the body of a streamed request.

        Raises:
            PromptError: There are too many images, an image and no user turn, or choices that are not a set.
            ImageError: The image cannot be decoded or has a shape that cannot be sent.
        """
        if len(request.images) > self._info.capabilities.images:
            raise PromptError(
                f"{len(request.images)} images are given and {self._info.name} takes "
                f"{self._info.capabilities.images} a question; ask about each alone"
            )
        request.check_choices()
        asked = request.generation
        body: dict[str, Any] = {
            "model": self._model,
            "messages": self._messages(request),
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            "max_tokens": asked.max_new_tokens,
            "temperature": asked.temperature,
            "logprobs": True,
            "skip_special_tokens": False,  # the markup of some models is special tokens
        }
        if asked.stop:
            body["stop"] = list(asked.stop[:_MOST_STOPS])
        if asked.temperature > 0:  # with a seed, so that asking again after a failure draws the same
            seed = random.getrandbits(31) if asked.seed is None else asked.seed
            body |= {"top_p": asked.top_p, "seed": seed}
        return body

    def _messages(self, request: Request) -> list[dict[str, Any]]:
        chat = chat_messages(request.messages, with_image=bool(request.images))
        images = [{"type": "image_url", "image_url": {"url": self._url(image)}} for image in request.images]
        for message in chat:
            parts = [part for part in message["content"] if part["type"] != "image"]
            message["content"] = [*images, *parts] if len(parts) < len(message["content"]) else parts[0]["text"]
        return chat

    def _url(self, image: Image.Image) -> str:
        """Return the image as a data URL; encoded once for successive questions about it."""
        with self._lock:
            if id(image) in self._encoded:
                self._encoded.move_to_end(id(image))
                return self._encoded[id(image)][1]
        file = io.BytesIO()
        try:
            shown(image, self._info.frame).save(file, "PNG", compress_level=1)  # lossless: the model sees these pixels
        except (OSError, ValueError) as error:
            raise ImageError(f"the image cannot be sent ({error}); open it again, or crop it") from error
        url = f"data:image/png;base64,{base64.b64encode(file.getbuffer()).decode()}"
        with self._lock:
            self._encoded[id(image)] = image, url  # with the image, so that no other takes its id
            while len(self._encoded) > _KEPT:
                self._encoded.popitem(last=False)
        return url


def scoring(body: Mapping[str, Any], turn: str | None = None) -> dict[str, Any]:
    """Return the body that requests the log-probability of each token of a conversation.

    Args:
        body: The conversation, as `Questions.body` makes it.
        turn: The assistant's turn that ends it; None ends where that begins.
    """
    asked = {"model": body["model"], "messages": body["messages"], "max_tokens": 1, "temperature": 0}
    if turn is not None:
        said = {"role": "assistant", "content": turn}
        asked |= {"messages": [*body["messages"], said], "add_generation_prompt": False}
    return asked | {"prompt_logprobs": 0}


def hello(model: str) -> dict[str, Any]:
    """Return the body of a test request, whose answer shows the server's features."""
    return scoring({"model": model, "messages": [{"role": "user", "content": "Hello"}]}) | {"logprobs": True}
