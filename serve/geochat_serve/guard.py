"""Gradio's application, with one door closed.

Gradio follows any file reference a client puts into any input, and downloads it where it is a URL. Here a reference
counts only if it names an upload; no URL is fetched and no other path is read.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta


class GuardedBlocks(gr.Blocks):
    """Blocks that refuse a file reference to anything but an upload."""

    def __init__(self, uploads: Path, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**options)
        self._uploads = uploads

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> Any:  # noqa: ANN401 - Gradio's own signature
        """Look at what a client sends before Gradio does.

        Raises:
            gr.Error: It refers to something that was not uploaded.
        """
        for path in _referenced(inputs):
            if ".." in path.parts or not path.is_relative_to(self._uploads):
                raise gr.Error("Only uploaded files are opened, no paths and no URLs; upload the image.")
        return await super().preprocess_data(block_fn, inputs, state, explicit_call)


def _referenced(value: Any) -> Iterator[Path]:  # noqa: ANN401 - decoded JSON
    """The path of everything that Gradio takes for a file."""
    if is_file_obj_with_meta(value):
        yield Path(value["path"])
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _referenced(part)
