"""What programs may call: `/ask`, `/find` and `/classify`, over HTTP and as MCP tools.

Both doors are Gradio's own. An image comes as an upload, or by the name of a bundled scene; a URL or a path is refused.
Calls stand in the same queue as everybody's questions, one line a caller.
"""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from geochat.assistant import Answer
from geochat.errors import GeoChatError
from geochat.prompts import Task
from geochat_serve.answering import Answerer
from geochat_serve.placing import read_boxes
from geochat_serve.scenes import Scene
from geochat_serve.workspace import Workspace

_TASKS = {task.value: task for task in Task}


@dataclass(frozen=True)
class Api:
    """The calls."""

    answerer: Answerer
    workspace: Workspace

    def add(self) -> None:
        """Add the endpoints to the page that is being built."""
        image = gr.File(visible=False, label="image", type="filepath")
        question = gr.Textbox(visible=False, label="question")
        task = gr.Dropdown(["auto", *_TASKS], value="auto", visible=False, label="task")
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
            task: auto, chat, scene, vqa, caption, identify, refer or grounding.
            regions: What it is about: boxes [x1, y1, x2, y2, angle] in pixels of the image; may be empty.
            request: Who calls.
        """
        return await self._answer(image, question, _TASKS.get(task), regions or [], request)

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
        known = ", ".join(self.answerer.chat.engine.settings.scene_classes)
        return await self._answer(image, classes.strip() or known, Task.SCENE, [], request)

    async def _answer(
        self, upload: str | None, question: str, task: Task | None, regions: Sequence[Any], request: gr.Request
    ) -> dict[str, Any]:
        caller = request.username or (request.client.host if request.client else "") or "somebody"
        cancel = threading.Event()
        try:
            path = self.workspace.claim(upload)
            try:
                async with self.answerer.queue.turn(f"api {caller}"):
                    answer = await asyncio.to_thread(self._compute, path, question, task, regions, cancel)
            finally:
                cancel.set()  # a call that was cancelled computes no further
                self.workspace.remove(path)
        except GeoChatError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return {**answer.to_dict(), "tokens": None}

    def _compute(
        self, path: Path, question: str, task: Task | None, regions: Sequence[Any], cancel: threading.Event
    ) -> Answer:
        scene = Scene.open(path, "the image")
        stream = self.answerer.chat.stream(scene.image, question, regions=read_boxes(list(regions)), task=task)
        for _ in stream:
            if cancel.is_set():
                stream.cancel()
        return stream.answer
