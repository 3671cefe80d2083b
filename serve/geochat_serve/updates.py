"""What the page shows next, in the form Gradio takes it."""

from typing import Any

import gradio as gr

from geochat_serve.correcting import editable
from geochat_serve.sessions import Session
from geochat_serve.telling import to_page

Update = Any  # what Gradio takes for a component: a value, or a component with what has changed


def no_change(count: int) -> tuple[Update, ...]:
    """So many components stay as they are."""
    return (gr.skip(),) * count


def scene_update(session: Session) -> str:
    """The open scene, for the viewer."""
    return "" if session.scene is None else to_page(session.scene.payload)


def turns_update(session: Session) -> str:
    """The conversation."""
    turns = []
    for turn in session.turns:
        parsed = turn.parsed
        turns.append({**turn.to_dict(), "editable": "" if parsed is None else editable(parsed)})
    return to_page({"turns": turns, "busy": session.busy})


def unclassified() -> Update:
    """The Classify panel before anything was found."""
    return gr.Label(None, label="Probabilities")
