"""Gradio's application, closed to file references.

Gradio follows any file reference a client puts into any input, and downloads it where it is a URL. Here a reference
counts only if it names an upload; no URL is fetched and no other path is read.
"""

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta

from geochat_serve.workspace import Workspace

_NOT_UPLOADED = "Only uploaded files are opened, no paths and no URLs; upload the image."

log = logging.getLogger(__name__)


class GuardedBlocks(gr.Blocks):
    """Blocks that refuse a file reference to anything but an upload."""

    def __init__(self, workspace: Workspace, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**options)
        self._workspace = workspace

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> Any:  # noqa: ANN401 - Gradio's own signature
        """Put the place of an upload where a client sends its name.

        Raises:
            gr.Error: It refers to something that was not uploaded, or is not what the inputs take.
        """
        for block, value in zip(block_fn.inputs, inputs, strict=False):
            if isinstance(block, gr.File) and value is not None and not is_file_obj_with_meta(value):
                raise gr.Error(_NOT_UPLOADED, print_exception=False)
        try:
            for reference in _references(inputs):
                reference["path"] = self._place_of(reference)
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error:
            raise
        except Exception as error:
            log.debug("an input cannot be read", exc_info=error)
            raise gr.Error("An input is not of the type it has to be.", print_exception=False) from error

    def _place_of(self, reference: dict[str, Any]) -> str:
        place = None if reference.get("url") else self._workspace.find(reference["path"])
        if place is None:
            raise gr.Error(_NOT_UPLOADED, print_exception=False)
        return str(place)


def _references(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - decoded JSON
    """Everything that Gradio takes for a file."""
    if is_file_obj_with_meta(value):
        yield value
    if isinstance(value, dict | list | tuple):
        for part in list(value.values()) if isinstance(value, dict) else value:
            yield from _references(part)
