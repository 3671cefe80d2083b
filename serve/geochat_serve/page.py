"""The page: which components there are, where they stand, and which event goes where."""

from typing import Any

import gradio as gr

from geochat.imagery import COMPOSITES, ORDERS
from geochat_serve.api import Api
from geochat_serve.components import conversation, scene_viewer, takeaway, top_bar
from geochat_serve.gallery import gallery
from geochat_serve.guard import GuardedBlocks
from geochat_serve.handlers import Handlers
from geochat_serve.image_handlers import STRETCHES, ImageHandlers
from geochat_serve.tasks import CHOICES

_READ_KEY = "() => sessionStorage.getItem('geochat-session') || ''"
_KEEP_KEY = "(key) => { sessionStorage.setItem('geochat-session', key); return []; }"
_FOCUS = "() => document.querySelector('#question textarea')?.focus()"
_BANDS = ["auto", *COMPOSITES, *(f"{order}:{composite}" for order in ORDERS for composite in ("rgb", "nir"))]
_CLASSES = ("airplane", "harbor", "forest", "storage tanks", "tennis court")  # for a model that names none
_EVENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
_QUICK: dict[str, Any] = {**_EVENT, "queue": False}  # these tell the user nothing: Gradio's messages come by the queue


def build_page(handlers: Handlers, images: ImageHandlers, api: Api, *, limit_mb: int) -> gr.Blocks:
    """The application, ready to be launched."""
    page: gr.Blocks = GuardedBlocks(
        images.workspace, title="GeoChat", analytics_enabled=False, fill_width=True, fill_height=True
    )
    with page:
        api.add()  # first: of events of one name, the first has it, and programs call by name
        key = gr.Textbox(visible=False)
        with gr.Column(elem_id="page"):
            with gr.Column(elem_id="top"):
                top_bar(handlers.answerer.chat.engine.info.name)
            with gr.Column(elem_id="left"):
                viewer = scene_viewer(gallery(), limit_mb)
            with gr.Column(elem_id="right"):
                chat = conversation()
                with gr.Column(elem_id="composer"):
                    task = gr.Radio(list(CHOICES), value="Auto", label="Task", show_label=False, elem_id="task")
                    hint = gr.HTML(value=CHOICES["Auto"].hint, elem_id="hint")
                    question = gr.Textbox(
                        label="Question",
                        show_label=False,
                        placeholder=CHOICES["Auto"].placeholder,
                        lines=1,
                        max_lines=6,
                        elem_id="question",
                        autofocus=False,
                    )
                    with gr.Row(elem_id="sending"):
                        look = gr.Checkbox(label="Look at this view", elem_id="look")
                        clear = gr.Button("Clear", elem_id="clear")
                        stop = gr.Button("Stop", elem_id="stop", interactive=False)
                        ask = gr.Button("Ask", variant="primary", elem_id="ask")
                with gr.Column(elem_id="more"):
                    with gr.Accordion("Bands and regions", open=False), gr.Column(elem_id="image-options"):
                        bands = gr.Dropdown(_BANDS, value="auto", label="Bands", allow_custom_value=True)
                        stretch = gr.Dropdown(list(STRETCHES), value="Automatic", label="Stretch")
                        pasted = gr.Textbox(
                            label="Region from GeoJSON or numbers",
                            placeholder="GeoJSON, or west, south, east, north, or px x1, y1, x2, y2",
                            lines=2,
                            max_lines=4,
                            elem_id="pasted",
                        )
                        place = gr.Button("Add region", size="sm", elem_id="place")
                    found = _add_classify_panel(images, look, viewer)
                    files = _add_save_panel()

        page.load(handlers.enter, key, [key, viewer, chat, files], js=_READ_KEY, **_EVENT).then(
            None, key, None, js=_KEEP_KEY
        )
        page.unload(handlers.leave)

        shown = [viewer, chat, found, bands, stretch]
        viewer.opened(images.opened, None, shown, **_EVENT)
        viewer.sample(images.sample, None, shown, **_EVENT)
        viewer.refused(images.refused, None, viewer, **_EVENT)
        viewer.detail(images.detail, None, viewer, trigger_mode="always_last", **_EVENT)
        viewer.region(_suggest, task, task, **_QUICK)
        gr.on([bands.input, stretch.input], images.show_bands, [bands, stretch], [viewer, chat, found], **_EVENT)
        gr.on([place.click, pasted.submit], images.place, pasted, [viewer, pasted], **_EVENT)

        task.change(_describe, task, [hint, question], **_QUICK)
        gr.on(
            [ask.click, question.submit],
            handlers.asked,
            [question, task, look, viewer],
            [chat, stop, question],
            trigger_mode="once",
            **_EVENT,
        )
        chat.retry(handlers.retry, None, [chat, stop], trigger_mode="once", **_EVENT)
        stop.click(handlers.stop, None, None, **_QUICK)
        clear.click(handlers.clear, None, chat, **_QUICK)
        chat.edit(handlers.edit, None, [chat, question, task], **_EVENT).then(None, None, None, js=_FOCUS)
        chat.keep(handlers.keep, None, [chat, files], **_EVENT)
        files.download_file(handlers.take, None, files, **_EVENT)
        files.load_file(handlers.load, None, chat, **_EVENT)
        files.clear_kept(handlers.clear_kept, None, files, **_QUICK)
    return page


def _add_classify_panel(images: ImageHandlers, look: gr.Checkbox, viewer: gr.HTML) -> gr.Label:
    known = images.answerer.chat.engine.info.settings.scene_classes or _CLASSES
    with gr.Accordion("Classify", open=False), gr.Column(elem_id="classify"):
        classes = gr.Textbox(
            ", ".join(known),
            label="Classes, separated by commas",
            info="Of the whole image, or of what is in view where “Look at this view” is ticked.",
            lines=2,
            max_lines=4,
            elem_id="classes",
        )
        classify = gr.Button("Classify", size="sm", elem_id="classify-button")
        found = gr.Label(label="Probabilities", num_top_classes=10, elem_id="classified")
    classify.click(images.classify, [classes, look, viewer], found, trigger_mode="once", **_EVENT)
    return found


def _add_save_panel() -> gr.HTML:
    with gr.Accordion("Save and load", open=False, elem_id="save-panel"):
        return takeaway()


def _suggest(task: str, event: gr.EventData) -> Any:  # noqa: ANN401 - a component's update
    """A drawn region suggests asking what it is; none left, the suggestion is withdrawn."""
    count = event._data.get("count") if isinstance(event._data, dict) else None
    if count and task == "Auto":
        return "Identify region"
    if not count and task == "Identify region":
        return "Auto"
    return gr.skip()


def _describe(task: str) -> tuple[Any, Any]:
    choice = CHOICES[task]
    return choice.hint, gr.Textbox(placeholder=choice.placeholder)
