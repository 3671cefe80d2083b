"""The page: the handlers of its components' events."""

from typing import Any

import gradio as gr

from geochat_serve.tasks import TASKS
from geochat_serve.web.api import Api, UploadOnlyBlocks
from geochat_serve.web.chat import ChatHandlers
from geochat_serve.web.image import ImageHandlers
from geochat_serve.web.layout import Components, lay_out

_READ_KEY = "() => sessionStorage.getItem('geochat-session') || ''"
_STORE_KEY = """(key) => {
  if (sessionStorage.getItem('geochat-session') !== key) document.dispatchEvent(new CustomEvent('geochat:new-session'));
  sessionStorage.setItem('geochat-session', key);
  window.geochatKeyStored = true;
  document.dispatchEvent(new CustomEvent('geochat:key'));
  return [];
}"""
_READ_DRAFT = f"""() => {{
  const {{question = '', task = 'Auto'}} = JSON.parse(sessionStorage.getItem('geochat-draft') || '{{}}');
  return [question, {list(TASKS)}.includes(task) ? task : 'Auto'];
}}"""
_MAY_REPLACE = """(page) => {
  const detail = {allowed: true};
  document.dispatchEvent(new CustomEvent('geochat:may-replace', {detail}));
  return detail.allowed ? page : null;
}"""
_FOCUS = "() => document.querySelector('#question textarea')?.focus()"
_EVENT: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
_IMMEDIATE: dict[str, Any] = {**_EVENT, "queue": False}  # for handlers without notifications, which need the queue


def build_page(chat: ChatHandlers, image: ImageHandlers, api: Api, *, max_upload_mb: int) -> gr.Blocks:
    """Return the application, ready to be launched."""
    page: gr.Blocks = UploadOnlyBlocks(
        image.storage, title="GeoChat", analytics_enabled=False, fill_width=True, fill_height=True
    )
    with page:
        api.add_endpoints()  # first: the first event of a name gets it, and programs call by name
        components = lay_out(chat.answers.chat.engine.info, max_upload_mb, image.images)
        _connect_load(page, components, chat)
        _connect_image(components, image)
        _connect_chat(components, chat)
        _connect_files(components, chat)
    return page


def _connect_load(page: gr.Blocks, components: Components, chat: ChatHandlers) -> None:
    """Connect loading the page, which brings back what the tab had, and closing it."""
    page.load(
        chat.load_page,
        components.key,
        [
            components.key,
            components.viewer,
            components.bands,
            components.stretch,
            components.page_number,
            components.conversation,
            components.exports,
        ],
        js=_READ_KEY,
        **_EVENT,
    ).then(None, components.key, None, js=_STORE_KEY)
    page.load(None, None, [components.question, components.task], js=_READ_DRAFT)
    page.unload(chat.unload_page)


def _connect_image(page: Components, image: ImageHandlers) -> None:
    """Connect the events of the viewer and the image options."""
    opened = [page.viewer, page.conversation, page.classified, page.bands, page.stretch, page.page_number]
    rendered = [page.viewer, page.conversation, page.classified, page.bands, page.stretch]
    page.viewer.uploaded(image.open_upload, None, opened, **_EVENT)
    page.viewer.sample(image.open_sample, None, opened, **_EVENT)
    page.page_number.input(image.open_page, page.page_number, opened, js=_MAY_REPLACE, **_EVENT)
    page.viewer.upload_failed(image.upload_failed, None, page.viewer, **_EVENT)
    page.viewer.regions_changed(_suggest_task, page.task, page.task, **_IMMEDIATE)
    gr.on(
        [page.bands.input, page.stretch.input],
        image.set_bands,
        [page.bands, page.stretch],
        rendered,
        trigger_mode="always_last",
        **_EVENT,
    )
    gr.on(
        [page.add_region.click, page.pasted.submit], image.add_region, page.pasted, [page.viewer, page.pasted], **_EVENT
    )
    page.classify.click(
        image.classify, [page.classes, page.visible_only, page.viewer], page.classified, trigger_mode="once", **_EVENT
    )


def _connect_chat(page: Components, chat: ChatHandlers) -> None:
    """Connect the events of the composer and the conversation."""
    page.task.change(_describe_task, page.task, [page.hint, page.question], **_IMMEDIATE)
    gr.on(
        [page.ask.click, page.question.submit],
        chat.ask,
        [page.question, page.task, page.visible_only, page.viewer],
        [page.conversation, page.stop, page.question],
        trigger_mode="multiple",  # a question asked while another is answered is refused with a reason, not dropped
        **_EVENT,
    )
    page.stop.click(chat.stop, None, None, **_IMMEDIATE)
    page.clear.click(chat.clear, None, [page.conversation, page.viewer], **_IMMEDIATE)
    page.viewer.restore(chat.restore, None, page.conversation, **_EVENT)
    page.conversation.retry(chat.retry, None, [page.conversation, page.stop], trigger_mode="once", **_EVENT)
    page.conversation.edit(chat.edit, None, [page.conversation, page.question, page.task], **_EVENT).then(
        None, None, None, js=_FOCUS
    )
    page.conversation.correct(chat.correct, None, [page.conversation, page.exports], **_EVENT)
    page.conversation.withdraw_correction(chat.withdraw_correction, None, [page.conversation, page.exports], **_EVENT)


def _connect_files(page: Components, chat: ChatHandlers) -> None:
    """Connect the loading of a conversation, and discarding the corrections."""
    page.exports.load_conversation(chat.load_conversation, None, page.conversation, **_EVENT)
    page.exports.discard_corrections(chat.discard_corrections, None, page.exports, **_IMMEDIATE)


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
