"""The page: its components, their layout, and the handlers of their events.

The page's own components are Gradio's `HTML` with templates and scripts from `assets`. The templates hold no values,
so nothing of a user's or a model's ever becomes markup: scripts get JSON and set text. The scripts of a component are
files of its folder, joined in the order given here into one function body.
"""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from geochat.imagery import COMPOSITES, ORDERS
from geochat.models import ModelInfo
from geochat_serve.open_scene import gallery
from geochat_serve.tasks import TASKS
from geochat_serve.web import asset
from geochat_serve.web.api import Api, UploadOnlyBlocks
from geochat_serve.web.chat import ChatHandlers
from geochat_serve.web.image import STRETCHES, ImageHandlers

_READ_KEY = "() => sessionStorage.getItem('geochat-session') || ''"
_STORE_KEY = "(key) => { sessionStorage.setItem('geochat-session', key); return []; }"
_FOCUS = "() => document.querySelector('#question textarea')?.focus()"
_BANDS = ["auto", *COMPOSITES, *(f"{order}:{composite}" for order in ORDERS for composite in ("rgb", "nir"))]
_CLASSES = ("airplane", "harbor", "forest", "storage tanks", "tennis court")  # if the checkpoint names none
_EVENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
_IMMEDIATE: dict[str, Any] = {**_EVENT, "queue": False}  # for handlers without notifications, which need the queue
_CHAT_SCRIPTS = ("elements", "exchanges", "corrections")
_VIEWER_SCRIPTS = ("geometry", "canvas", "regions", "gestures", "keyboard", "open", "main")


@dataclass(frozen=True)
class _Components:
    """Components with events, or updated by events."""

    key: gr.Textbox
    viewer: gr.HTML
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


def build_page(chat: ChatHandlers, image: ImageHandlers, api: Api, *, max_upload_mb: int) -> gr.Blocks:
    """Return the application, ready to be launched."""
    page: gr.Blocks = UploadOnlyBlocks(
        image.storage, title="GeoChat", analytics_enabled=False, fill_width=True, fill_height=True
    )
    with page:
        api.add_endpoints()  # first: the first event of a name gets it, and programs call by name
        components = _lay_out(chat.answers.chat.engine.info, max_upload_mb)
        page.load(
            chat.load_page,
            components.key,
            [components.key, components.viewer, components.page_number, components.conversation, components.exports],
            js=_READ_KEY,
            **_EVENT,
        ).then(None, components.key, None, js=_STORE_KEY)
        page.unload(chat.unload_page)
        _connect_image(components, image)
        _connect_chat(components, chat)
    return page


def _lay_out(info: ModelInfo, max_upload_mb: int) -> _Components:
    """Add the components to the page."""
    key = gr.Textbox(visible=False)
    with gr.Column(elem_id="page"):
        with gr.Column(elem_id="top"):
            _top_bar(info.name)
        with gr.Column(elem_id="left"):
            viewer = _viewer(max_upload_mb)
        with gr.Column(elem_id="right"):
            conversation = _component("conversation", "chat", _CHAT_SCRIPTS, corrected="")
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
            with gr.Column(elem_id="more"):
                with gr.Accordion("Image and regions", open=False), gr.Column(elem_id="image-options"):
                    page_number = gr.Dropdown([1], value=1, label="Page", visible=False, elem_id="page-number")
                    bands = gr.Dropdown(_BANDS, value="auto", label="Bands", allow_custom_value=True, elem_id="bands")
                    stretch = gr.Dropdown(list(STRETCHES), value="Automatic", label="Stretch")
                    pasted = gr.Textbox(
                        label="Region from GeoJSON or coordinates",
                        placeholder="GeoJSON; or west, south, east, north; or px x1, y1, x2, y2",
                        lines=2,
                        max_lines=4,
                        elem_id="pasted",
                    )
                    add_region = gr.Button("Add region", size="sm", elem_id="add-region")
                with gr.Accordion("Zero-shot classification", open=False), gr.Column(elem_id="classification"):
                    classes = gr.Textbox(
                        ", ".join(info.settings.scene_classes or _CLASSES),
                        label="Classes, separated by commas",
                        info="Classifies the whole image, or only the visible area if that is ticked.",
                        lines=2,
                        max_lines=4,
                        elem_id="classes",
                    )
                    classify = gr.Button("Classify", size="sm", elem_id="classify-button")
                    classified = gr.Label(label="Probabilities", num_top_classes=10, elem_id="classified")
                with gr.Accordion("Export and import", open=False, elem_id="exports-panel"):
                    exports = _component("exports", "exports", ("exports",), file="", count=0)
    return _Components(
        key=key,
        viewer=viewer,
        conversation=conversation,
        task=task,
        hint=hint,
        question=question,
        visible_only=visible_only,
        clear=clear,
        stop=stop,
        ask=ask,
        page_number=page_number,
        bands=bands,
        stretch=stretch,
        pasted=pasted,
        add_region=add_region,
        classes=classes,
        classify=classify,
        classified=classified,
        exports=exports,
    )


def _connect_image(page: _Components, image: ImageHandlers) -> None:
    """Connect the events of the viewer and the image options."""
    opened = [page.viewer, page.conversation, page.classified, page.bands, page.stretch, page.page_number]
    rendered = [page.viewer, page.conversation, page.classified]
    page.viewer.uploaded(image.open_upload, None, opened, **_EVENT)
    page.viewer.sample(image.open_sample, None, opened, **_EVENT)
    page.page_number.input(image.open_page, page.page_number, opened, **_EVENT)
    page.viewer.upload_failed(image.upload_failed, None, page.viewer, **_EVENT)
    page.viewer.detail_wanted(image.send_detail, None, page.viewer, trigger_mode="always_last", **_EVENT)
    page.viewer.regions_changed(_suggest_task, page.task, page.task, **_IMMEDIATE)
    gr.on([page.bands.input, page.stretch.input], image.set_bands, [page.bands, page.stretch], rendered, **_EVENT)
    gr.on(
        [page.add_region.click, page.pasted.submit], image.add_region, page.pasted, [page.viewer, page.pasted], **_EVENT
    )
    page.classify.click(
        image.classify, [page.classes, page.visible_only, page.viewer], page.classified, trigger_mode="once", **_EVENT
    )


def _connect_chat(page: _Components, chat: ChatHandlers) -> None:
    """Connect the events of the composer, the conversation and the exports."""
    page.task.change(_describe_task, page.task, [page.hint, page.question], **_IMMEDIATE)
    gr.on(
        [page.ask.click, page.question.submit],
        chat.ask,
        [page.question, page.task, page.visible_only, page.viewer],
        [page.conversation, page.stop, page.question],
        trigger_mode="once",
        **_EVENT,
    )
    page.stop.click(chat.stop, None, None, **_IMMEDIATE)
    page.clear.click(chat.clear, None, [page.conversation, page.viewer], **_IMMEDIATE)
    page.conversation.retry(chat.retry, None, [page.conversation, page.stop], trigger_mode="once", **_EVENT)
    page.conversation.edit(chat.edit, None, [page.conversation, page.question, page.task], **_EVENT).then(
        None, None, None, js=_FOCUS
    )
    page.conversation.correct(chat.correct, None, [page.conversation, page.exports], **_EVENT)
    page.exports.export(chat.export, None, page.exports, **_EVENT)
    page.exports.load_conversation(chat.load_conversation, None, page.conversation, **_EVENT)
    page.exports.discard_corrections(chat.discard_corrections, None, page.exports, **_IMMEDIATE)


def _top_bar(model: str) -> gr.HTML:
    """Add the top bar: name, model, light or dark theme."""
    return gr.HTML(
        value="",
        html_template=asset("bar.html"),
        js_on_load=asset("bar.js"),
        elem_id="bar",
        apply_default_css=False,
        model=model,
    )


def _viewer(max_upload_mb: int) -> gr.HTML:
    """Add the image viewer, with regions and boxes.

    Its value, for the server, is JSON of `scene`, `regions` and `window`. Its properties `scene`, `detail` and `added`
    are JSON; a change of `problem` or `cleared` ends waiting and removes the regions.
    """
    state = {"scene": "", "detail": "", "added": "", "problem": 0, "cleared": 0}
    samples = json.dumps(gallery())
    return _component("scene-viewer", "viewer", _VIEWER_SCRIPTS, samples=samples, max_upload_mb=max_upload_mb, **state)


def _component(element: str, folder: str, scripts: tuple[str, ...], **properties: Any) -> gr.HTML:  # noqa: ANN401
    return gr.HTML(
        value="",
        html_template=asset(f"{folder}/{folder}.html"),
        css_template=asset(f"{folder}/{folder}.css"),
        js_on_load="\n".join(asset(f"{folder}/{script}.js") for script in scripts),
        elem_id=element,
        apply_default_css=False,
        **properties,
    )


def _suggest_task(task: str, event: gr.EventData) -> Any:  # noqa: ANN401 - a component's update
    """Suggest identifying a region when one is drawn, and withdraw the suggestion when none is left."""
    count = event._data.get("count") if isinstance(event._data, dict) else None
    if count and task == "Auto":
        return "Identify region"
    if not count and task == "Identify region":
        return "Auto"
    return gr.skip()


def _describe_task(task: str) -> tuple[Any, Any]:
    return TASKS[task].hint, gr.Textbox(placeholder=TASKS[task].placeholder)
