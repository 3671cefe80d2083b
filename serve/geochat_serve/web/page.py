"""The page: its components, their layout, and the handlers of their events.

The page's own components are Gradio's `HTML` with templates and scripts from `assets`. The templates hold no values,
so nothing of a user's or a model's ever becomes markup: scripts get JSON and set text. The scripts of a component are
files of its folder, joined in the order given here into one function body.
"""

import json
from typing import Any

import gradio as gr

from geochat.imagery import COMPOSITES, ORDERS
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
_VIEWER_SCRIPTS = ("geometry", "canvas", "regions", "gestures", "keyboard", "open", "main")


def build_page(chat: ChatHandlers, image: ImageHandlers, api: Api, *, max_upload_mb: int) -> gr.Blocks:
    """Return the application, ready to be launched."""
    page: gr.Blocks = UploadOnlyBlocks(
        image.storage, title="GeoChat", analytics_enabled=False, fill_width=True, fill_height=True
    )
    with page:
        api.add_endpoints()  # first: the first event of a name gets it, and programs call by name
        key = gr.Textbox(visible=False)
        with gr.Column(elem_id="page"):
            with gr.Column(elem_id="top"):
                _top_bar(chat.answers.chat.engine.info.name)
            with gr.Column(elem_id="left"):
                viewer = _viewer(max_upload_mb)
            with gr.Column(elem_id="right"):
                conversation = _component("conversation", "chat", ("elements", "exchanges", "corrections"), corrected="")
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
                        bands = gr.Dropdown(
                            _BANDS, value="auto", label="Bands", allow_custom_value=True, elem_id="bands"
                        )
                        stretch = gr.Dropdown(list(STRETCHES), value="Automatic", label="Stretch")
                        pasted = gr.Textbox(
                            label="Region from GeoJSON or coordinates",
                            placeholder="GeoJSON; or west, south, east, north; or px x1, y1, x2, y2",
                            lines=2,
                            max_lines=4,
                            elem_id="pasted",
                        )
                        add_region = gr.Button("Add region", size="sm", elem_id="add-region")
                    classified = _add_classification(image, visible_only, viewer)
                    with gr.Accordion("Export and import", open=False, elem_id="exports-panel"):
                        exports = _component("exports", "exports", ("exports",), file="", count=0)

        page.load(
            chat.load_page, key, [key, viewer, page_number, conversation, exports], js=_READ_KEY, **_EVENT
        ).then(None, key, None, js=_STORE_KEY)
        page.unload(chat.unload_page)

        opened = [viewer, conversation, classified, bands, stretch, page_number]
        viewer.uploaded(image.open_upload, None, opened, **_EVENT)
        viewer.sample(image.open_sample, None, opened, **_EVENT)
        page_number.input(image.open_page, page_number, opened, **_EVENT)
        viewer.upload_failed(image.upload_failed, None, viewer, **_EVENT)
        viewer.detail_wanted(image.send_detail, None, viewer, trigger_mode="always_last", **_EVENT)
        viewer.regions_changed(_suggest_task, task, task, **_IMMEDIATE)
        rendered = [viewer, conversation, classified]
        gr.on([bands.input, stretch.input], image.set_bands, [bands, stretch], rendered, **_EVENT)
        gr.on([add_region.click, pasted.submit], image.add_region, pasted, [viewer, pasted], **_EVENT)

        task.change(_describe_task, task, [hint, question], **_IMMEDIATE)
        gr.on(
            [ask.click, question.submit],
            chat.ask,
            [question, task, visible_only, viewer],
            [conversation, stop, question],
            trigger_mode="once",
            **_EVENT,
        )
        conversation.retry(chat.retry, None, [conversation, stop], trigger_mode="once", **_EVENT)
        stop.click(chat.stop, None, None, **_IMMEDIATE)
        clear.click(chat.clear, None, [conversation, viewer], **_IMMEDIATE)
        conversation.edit(chat.edit, None, [conversation, question, task], **_EVENT).then(None, None, None, js=_FOCUS)
        conversation.correct(chat.correct, None, [conversation, exports], **_EVENT)
        exports.export(chat.export, None, exports, **_EVENT)
        exports.load_conversation(chat.load_conversation, None, conversation, **_EVENT)
        exports.discard_corrections(chat.discard_corrections, None, exports, **_IMMEDIATE)
    return page


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


def _add_classification(image: ImageHandlers, visible_only: gr.Checkbox, viewer: gr.HTML) -> gr.Label:
    known = image.answers.chat.engine.info.settings.scene_classes or _CLASSES
    with gr.Accordion("Zero-shot classification", open=False), gr.Column(elem_id="classification"):
        classes = gr.Textbox(
            ", ".join(known),
            label="Classes, separated by commas",
            info="Classifies the whole image, or only the visible area if that is ticked.",
            lines=2,
            max_lines=4,
            elem_id="classes",
        )
        classify = gr.Button("Classify", size="sm", elem_id="classify-button")
        classified = gr.Label(label="Probabilities", num_top_classes=10, elem_id="classified")
    classify.click(image.classify, [classes, visible_only, viewer], classified, trigger_mode="once", **_EVENT)
    return classified


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
