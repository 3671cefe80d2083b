"""What programs may call: `/ask`, `/find` and `/classify`, over HTTP and as MCP tools.

Both are Gradio's own. An image comes as an upload; a URL or a path is refused.
Calls stand in the same queue as everybody's questions, one line a caller.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from geochat.assistant import Answer, Question
from geochat.errors import GeoChatError
from geochat.prompts import TASK_NAMES, Task
from geochat_serve.answering import Answerer
from geochat_serve.clients import client_name
from geochat_serve.open_scene import OpenScene
from geochat_serve.placing import read_boxes
from geochat_serve.telling import clean
from geochat_serve.workspace import Workspace

_LONGEST = 8000


@dataclass(frozen=True)
class Api:
    """The calls."""

    answerer: Answerer
    workspace: Workspace

    def add(self) -> None:
        """Add the endpoints to the page that is being built."""
        image = gr.File(visible=False, label="image", type="filepath")
        question = gr.Textbox(visible=False, label="question")
        task = gr.Dropdown(list(TASK_NAMES), value="auto", visible=False, label="task")
        regions = gr.JSON(visible=False, label="regions", value=[])
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
        """Ask a question about a satellite or aerial image; gives the text and its oriented boxes.

        Args:
            image: The image file, uploaded.
            question: What to ask; may be empty for the tasks caption, grounding and identify.
            task: auto, chat, scene, vqa, caption (or describe), identify, refer or grounding.
            regions: What it is about: boxes [x1, y1, x2, y2, angle] in pixels of the image; may be empty.
            request: Who calls.
        """
        return await self._answer(image, question, task, regions or [], request)

    async def find(self, image: str, phrase: str, request: gr.Request) -> dict[str, Any]:
        """Find what a phrase names in a satellite or aerial image; gives oriented boxes in pixels and on the map.

        Args:
            image: The image file, uploaded.
            phrase: What to find, such as "the largest storage tank".
            request: Who calls.
        """
        return await self._answer(image, phrase, Task.REFER, [], request)

    async def classify(self, image: str, classes: str, request: gr.Request) -> dict[str, Any]:
        """Say which of the given classes a satellite or aerial image shows.

        Args:
            image: The image file, uploaded.
            classes: The classes, separated by commas; empty takes those the model knows.
            request: Who calls.
        """
        return await self._answer(image, classes, Task.SCENE, [], request)

    async def _answer(
        self, upload: str | None, text: str, task: Task | str, regions: list[list[float]], request: gr.Request
    ) -> dict[str, Any]:
        client = client_name(request.client.host if request.client else None, request.username)
        with self.answerer.metrics.answer("api") as ended:
            try:
                question = Question(_checked(text), regions=read_boxes(regions), task=task)
                answer = await self._answer_upload(upload, question, client)
            except GeoChatError as error:
                raise gr.Error(clean(str(error)), print_exception=False) from error
            except asyncio.CancelledError:
                ended("stopped")
                raise
            ended("done")
        values = answer.to_dict()
        return {**values, "image": {**values["image"], "path": None}, "tokens": None}

    async def _answer_upload(self, upload: str | None, question: Question, client: str) -> Answer:
        path = self.workspace.claim(upload)
        try:
            async with self.answerer.queue.turn(f"api {client}", client):
                return await self._compute(path, question)
        finally:
            self.workspace.remove(path)

    async def _compute(self, path: Path, question: Question) -> Answer:
        def ask() -> Answer:
            with OpenScene.open(path, "the image") as scene:
                return self.answerer.chat.ask(scene.image, question)

        with self.answerer.computing(question):
            try:
                return await asyncio.to_thread(ask)
            except asyncio.CancelledError:  # a call that was cancelled computes no further
                self.answerer.chat.cancel(question.id)
                raise


def _checked(text: str | None) -> str:
    """A question's words.

    Raises:
        GeoChatError: They are too many.
    """
    if text is not None and len(text) > _LONGEST:
        raise GeoChatError(f"{len(text):,} characters are too many; write up to {_LONGEST:,}")
    return clean(text or "")
