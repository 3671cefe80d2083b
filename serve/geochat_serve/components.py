"""The page's own components: Gradio's `HTML` with templates and scripts from `assets`.

Their templates hold no values, so nothing of a user's or a model's is ever made into markup: scripts get JSON and set
text. A component's scripts are the files of its folder, in the order named here, as one function body.
"""

from functools import cache
from importlib.resources import files
from typing import Any

import gradio as gr

_ASSETS = files("geochat_serve") / "assets"
_VIEWER = (
    *("geometry", "camera", "painter", "regions", "shapes"),
    *("gestures", "keyboard", "status", "opening", "main"),
)


def scene_viewer(samples: str, limit_mb: int) -> gr.HTML:
    """The image with its regions and boxes.

    Its value, for the server, is JSON of `scene`, `regions` and `window`. It takes `scene`, `detail` and `placed` as
    JSON, and sends "opened", "refused", "sample", "region" and "detail".
    """
    props = {"samples": samples, "limit_mb": limit_mb, "scene": "", "detail": "", "placed": "", "problem": 0}
    return _component("scene-viewer", "viewer", _VIEWER, props)


def conversation() -> gr.HTML:
    """The turns. Its value is JSON of `turns` and `busy`; it sends "retry", "edit" and "keep"."""
    return _component("conversation", "chat", ("parts", "turns", "correcting"), {"kept": ""})


def takeaway() -> gr.HTML:
    """What can be saved and loaded.

    It takes `file` as JSON and `count`, and sends "download_file", "load_file" and "clear_kept".
    """
    return _component("takeaway", "takeaway", ("takeaway",), {"file": "", "count": 0})


def top_bar(model: str) -> gr.HTML:
    """The page's head: name, model, light or dark."""
    return gr.HTML(
        value="",
        html_template=asset("bar.html"),
        js_on_load=asset("bar.js"),
        elem_id="bar",
        apply_default_css=False,
        model=model,
    )


@cache
def asset(name: str) -> str:
    """The text of a file of the package's `assets`."""
    return _ASSETS.joinpath(name).read_text(encoding="utf-8")


def _component(element: str, folder: str, scripts: tuple[str, ...], props: dict[str, Any]) -> gr.HTML:
    return gr.HTML(
        value="",
        html_template=asset(f"{folder}/{folder}.html"),
        css_template=asset(f"{folder}/{folder}.css"),
        js_on_load="\n".join(asset(f"{folder}/{script}.js") for script in scripts),
        elem_id=element,
        apply_default_css=False,
        **props,
    )
