"""The layout of the page: its components and where they stand.

The page's own components are Gradio's `HTML` with templates and scripts from `assets`. The templates hold no values,
so nothing of a user's or a model's ever becomes markup: scripts get JSON and set text. The scripts of a component are
files of its folder, joined in the order given here into one function body; the components talk by events of the
document (`assets/events.js`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from geochat.models import ModelInfo
from geochat_serve.open_scene import gallery, gallery_titles
from geochat_serve.tasks import TASKS
from geochat_serve.web import asset
from geochat_serve.web.find import formats
from geochat_serve.web.image import BANDS, STRETCHES

_CLASSES = ("airplane", "harbor", "forest", "storage tanks", "tennis court")  # if the checkpoint names none
_SCRIPTS = {
    "bar": ("bar/theme", "bar/history", "bar/controls"),
    "viewer": (
        "calls",
        *(
            f"viewer/{name}"
            for name in (
                "geometry",
                "canvas",
                "tiles",
                "images",
                "regions",
                "shapes",
                "gestures",
                "keyboard",
                "open",
                "main",
            )
        ),
    ),
    "results": ("calls", "save", "results/layers", "results/table", "results/main"),
    "find": ("calls", "node", "save", "find/find"),
    "layers": ("calls", "node", "layers/draw", "layers/panel", "layers/images", "layers/ground", "layers/tools"),
    "chat": ("chat/elements", "chat/exchanges", "chat/corrections"),
    "exports": ("calls", "save", "exports/exports"),
}

_SHARED_STYLES = {"find": ("panel",), "layers": ("panel",)}


@dataclass(frozen=True)
class Components:
    """Components with events, or updated by events."""

    key: gr.Textbox
    viewer: gr.HTML
    results: gr.HTML
    conversation: gr.HTML
    task: gr.Radio
    hint: gr.HTML
    question: gr.Textbox
    visible_only: gr.Checkbox
    clear: gr.Button
    stop: gr.Button
    ask: gr.Button
    page_number: gr.Dropdown
    bands: gr.Dropdown
    stretch: gr.Dropdown
    pasted: gr.Textbox
    add_region: gr.Button
    classes: gr.Textbox
    classify: gr.Button
    classified: gr.Label
    exports: gr.HTML


def lay_out(info: ModelInfo, max_upload_mb: int, images: Sequence[Path]) -> Components:
    """Add the components to the page: the image and its results, the conversation and the composer, the panels."""
    key = gr.Textbox(visible=False)
    with gr.Column(elem_id="page"):
        with gr.Column(elem_id="top"):
            component("bar", "bar", model=info.name)
        with gr.Column(elem_id="left"):
            viewer = _viewer(max_upload_mb, images)
            results = component("results", "results")
        with gr.Column(elem_id="right"):
            conversation = component("conversation", "chat", corrected="")
            composer = _composer()
            with gr.Column(elem_id="more"):  # panels: an accordion each
                component("find", "find", formats=json.dumps(formats()))
                component("layers", "layers", images=json.dumps(gallery_titles(images)))
                panels = _image_panel() | _classification_panel(info)
                with gr.Accordion("Conversation and corrections", open=False):
                    exports = component("exports", "exports", count=0)
    return Components(
        key=key, viewer=viewer, results=results, conversation=conversation, exports=exports, **composer, **panels
    )


def component(element: str, folder: str, **properties: Any) -> gr.HTML:  # noqa: ANN401
    """Add a component of the page's own.

    Args:
        element: Id of its element.
        folder: Folder of its template and style in `assets`, and key of its scripts.
        properties: Properties its script reads and watches.
    """
    return gr.HTML(
        value="",
        html_template=asset(f"{folder}/{folder}.html"),
        css_template="".join(
            asset(f"{style}.css") for style in (*_SHARED_STYLES.get(folder, ()), f"{folder}/{folder}")
        ),
        js_on_load="\n".join(asset(f"{script}.js") for script in ("events", *_SCRIPTS[folder])),
        elem_id=element,
        apply_default_css=False,
        **properties,
    )


def _viewer(max_upload_mb: int, images: Sequence[Path]) -> gr.HTML:
    """Add the image viewer, with regions and boxes.

    Its value, for the server, is JSON of `scene`, `regions` and `window`. Its properties `scene` and `added` are
    JSON; a change of `problem` or `cleared` ends waiting and removes the regions.
    """
    state = {"scene": "", "added": "", "problem": 0, "cleared": 0}
    samples = json.dumps(gallery(images))
    return component("scene-viewer", "viewer", samples=samples, max_upload_mb=max_upload_mb, **state)


def _composer() -> dict[str, Any]:
    """Add what a question is asked with."""
    with gr.Column(elem_id="composer"):
        task = gr.Radio(list(TASKS), value="Auto", label="Task", show_label=False, elem_id="task")
        hint = gr.HTML(value=TASKS["Auto"].hint, elem_id="hint")
        question = gr.Textbox(
            label="Question",
            show_label=False,
            placeholder=TASKS["Auto"].placeholder,
            lines=1,
            max_lines=6,
            elem_id="question",
            autofocus=False,
        )
        with gr.Row(elem_id="buttons"):
            visible_only = gr.Checkbox(label="Visible area only", elem_id="visible-only")
            clear = gr.Button("Clear", elem_id="clear")
            stop = gr.Button("Stop", elem_id="stop", interactive=False)
            ask = gr.Button("Ask", variant="primary", elem_id="ask")
    return {
        "task": task,
        "hint": hint,
        "question": question,
        "visible_only": visible_only,
        "clear": clear,
        "stop": stop,
        "ask": ask,
    }


def _image_panel() -> dict[str, Any]:
    """Add the panel of the image's page, bands and stretch, and of regions as text."""
    with gr.Accordion("Image and regions", open=False), gr.Column(elem_id="image-options"):
        return {
            "page_number": gr.Dropdown([1], value=1, label="Page", visible=False, elem_id="page-number"),
            "bands": gr.Dropdown(list(BANDS), value="auto", label="Bands", allow_custom_value=True, elem_id="bands"),
            "stretch": gr.Dropdown(list(STRETCHES), value="Automatic", label="Stretch", elem_id="stretch"),
            "pasted": gr.Textbox(
                label="Region from GeoJSON or coordinates",
                placeholder="GeoJSON; or west, south, east, north; or px x1, y1, x2, y2",
                lines=2,
                max_lines=4,
                elem_id="pasted",
            ),
            "add_region": gr.Button("Add region", size="sm", elem_id="add-region"),
        }


def _classification_panel(info: ModelInfo) -> dict[str, Any]:
    """Add the panel of the dual encoder."""
    with gr.Accordion("Zero-shot classification", open=False), gr.Column(elem_id="classification"):
        return {
            "classes": gr.Textbox(
                ", ".join(info.settings.scene_classes or _CLASSES),
                label="Classes, separated by commas",
                info="Classifies the whole image, or only the visible area if that is ticked.",
                lines=2,
                max_lines=4,
                elem_id="classes",
            ),
            "classify": gr.Button("Classify", size="sm", elem_id="classify-button"),
            "classified": gr.Label(label="Probabilities", num_top_classes=10, elem_id="classified"),
        }
