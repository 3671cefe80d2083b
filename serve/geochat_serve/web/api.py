"""The endpoints of the HTTP API, `ask`, `find` and `classify`, and the uploads they refer to.

The API is Gradio's own. Images are uploads; a URL or a path is refused. Calls share the queue with the questions of
the page, one line per caller.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta

from geochat.assistant import Question
from geochat.errors import GeoChatError
from geochat.prompts import TASK_NAMES, Task
from geochat_serve.answering import AnswerService
from geochat_serve.middleware.http import client_name
from geochat_serve.open_scene import OpenScene
from geochat_serve.storage import LINGER_S, UploadStorage
from geochat_serve.tasks import beside, drop_unused_regions
from geochat_serve.validation import MAX_REGIONS, clean, read_boxes, read_question

_NOT_UPLOADED = "Only uploaded files are opened, not paths or URLs; upload the image."
_REGIONS_SCHEMA = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 5},
    "maxItems": MAX_REGIONS,
    "description": "boxes [x1, y1, x2, y2] or [x1, y1, x2, y2, angle]",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Api:
    """The endpoints."""

    answers: AnswerService
    storage: UploadStorage

    def add_endpoints(self) -> None:
        """Add the endpoints to the page that is being built."""
        image = gr.File(visible=False, label="image", type="filepath")
        question = gr.Textbox(visible=False, label="question")
        task = gr.Dropdown(list(TASK_NAMES), value="auto", visible=False, label="task")
        regions: Any = gr.JSON(visible=False, label="regions", value=[])
        regions.api_info = lambda: dict(_REGIONS_SCHEMA)  # Gradio's is no valid JSON schema
        classes = gr.Textbox(visible=False, label="classes")
        phrase = gr.Textbox(visible=False, label="phrase")
        output = gr.JSON(visible=False, label="answer")
        options: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
        for call, inputs in (
            (self.ask, [image, question, task, regions]),
            (self.find, [image, phrase]),
            (self.classify, [image, classes]),
        ):
            gr.Button(visible=False).click(call, inputs, output, api_name=call.__name__, **options)

    async def ask(
        self, image: str, question: str, task: str, regions: list[list[float]], request: gr.Request
    ) -> dict[str, Any]:
        """Ask a question about a satellite or aerial image. Returns the answer's text and its oriented boxes.

        Args:
            image: The image file.
            question: The question; may be empty for the tasks caption, grounding and identify.
            task: auto, chat, scene, vqa, caption (or describe), identify, refer or grounding.
            regions: Boxes [x1, y1, x2, y2, angle] in pixels of the image that the question is about; the angle, in
                degrees clockwise, may be left out. Used by the tasks auto, chat and identify.
            request: The caller.
        """
        return await self._answer(image, question, task, regions or [], request)

    async def find(self, image: str, phrase: str, request: gr.Request) -> dict[str, Any]:
        """Find objects in a satellite or aerial image. Returns oriented boxes in pixels and map coordinates.

        Args:
            image: The image file.
            phrase: What to find, such as "the largest storage tank".
            request: The caller.
        """
        return await self._answer(image, phrase, Task.REFER, [], request)

    async def classify(self, image: str, classes: str, request: gr.Request) -> dict[str, Any]:
        """Classify a satellite or aerial image. Returns one of the given classes.

        Args:
            image: The image file.
            classes: The classes, separated by commas; if empty, those the model knows.
            request: The caller.
        """
        return await self._answer(image, classes, Task.SCENE, [], request)

    async def _answer(
        self, upload: str | None, text: str, task: Task | str, regions: list[list[float]], request: gr.Request
    ) -> dict[str, Any]:
        client = client_name(request.client.host if request.client else None, request.username)
        with self.answers.metrics.time_answer("api") as set_outcome:
            try:
                question = Question(read_question(text), regions=read_boxes(regions), task=task)
                answer = await self._answer_upload(upload, question, client)
            except GeoChatError as error:
                raise gr.Error(clean(str(error)), print_exception=False) from error
            except asyncio.CancelledError:
                set_outcome("stopped")
                raise
            set_outcome("done")
        return answer

    async def _answer_upload(self, upload: str | None, question: Question, client: str) -> dict[str, Any]:
        path = self.storage.claim(upload, reusable=True)
        try:
            async with self.answers.queue.slot(f"api {client}", client):
                return await self._compute(path, question)
        finally:
            self.storage.remove(path)
            asyncio.get_running_loop().call_later(LINGER_S + 1, self.storage.remove_expired)

    async def _compute(self, path: Path, question: Question) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            with OpenScene.open(path, "the image") as scene:
                conversation = self.answers.chat.start(scene.overview)
                asked, notices = drop_unused_regions(conversation, question)
                answer = conversation.ask(asked)
            values = answer.to_dict()
            told = [*beside(notices, answer.notices), *values["notices"]]
            return {**values, "notices": told, "image": {**values["image"], "path": None}, "tokens": None}

        with self.answers.computing(question):
            try:
                return await asyncio.get_running_loop().run_in_executor(self.answers.threads, ask)
            except asyncio.CancelledError:  # the caller cancelled
                self.answers.chat.cancel(question.id)
                raise


class UploadOnlyBlocks(gr.Blocks):
    """Blocks that accept uploads as files, and nothing else.

    Gradio follows any file reference that a client puts into any input, and downloads it if it is a URL. Here a
    reference must name an upload; no URL is fetched and no other path is read.
    """

    def __init__(self, storage: UploadStorage, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**options)
        self._storage = storage

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> Any:  # noqa: ANN401 - Gradio's own signature
        """Give the functions the public names of uploads, and keep files from Gradio.

        Raises:
            gr.Error: A reference does not name an upload, or an input has the wrong type.
        """
        is_file = [isinstance(block, gr.File) for block in block_fn.inputs]
        files = [self._upload(value) if file else None for file, value in zip(is_file, inputs, strict=False)]
        others = [None if file else value for file, value in zip(is_file, inputs, strict=False)]
        try:
            _refuse_references(others)
            processed = await super().preprocess_data(block_fn, others, state, explicit_call)
        except gr.Error:
            raise
        except Exception as error:
            log.debug("an input is invalid", exc_info=error)
            raise gr.Error("An input has the wrong type.", print_exception=False) from error
        return [name if file else value for file, name, value in zip(is_file, files, processed, strict=True)]

    def _upload(self, value: object) -> str | None:
        """Return the public name of the upload that a client's value refers to, None if there is no value."""
        if value is None:
            return None
        name = value.get("path") if isinstance(value, dict) and not value.get("url") else value
        if self._storage.find(name) is None:
            raise gr.Error(_NOT_UPLOADED, print_exception=False)
        return str(name)


def _refuse_references(value: Any) -> None:  # noqa: ANN401 - decoded JSON
    """Refuse values that contain what Gradio takes for a file.

    Raises:
        gr.Error: One does.
    """
    if is_file_obj_with_meta(value):
        raise gr.Error(_NOT_UPLOADED, print_exception=False)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _refuse_references(part)
