"""Parts of a question around its words: task tokens, published suffixes, regions, phrases and courtesies."""

import re

from geochat.prompts.intents import TOKENS
from geochat.prompts.tasks import Task

REGION = re.compile(r"\{[^{}]*\}(?:<delim>)?")
PHRASE = re.compile(r"<p>([^<]*)</p>")
_SUFFIXES = (
    (re.compile(r"\s*answer the question using a single word or phrase\W*$", re.IGNORECASE), Task.VQA),
    (re.compile(r"\s*answer with one word or short phrase\W*$", re.IGNORECASE), Task.SCENE),
)
_SUFFIX = 80  # characters a suffix is looked for in


def without_marks(text: str) -> tuple[str, Task | None]:
    """Return the text without the token or suffix of a task, and that task."""
    task = None
    for each, token in TOKENS.items():
        if text[: len(token)].lower() == token:
            text, task = text[len(token) :].strip(), each
    for pattern, each in _SUFFIXES:
        tail = pattern.sub("", text[-_SUFFIX:])
        if tail != text[-_SUFFIX:]:
            text, task = text[:-_SUFFIX] + tail, task or each
    return text, task


def trimmed(text: str, openings: tuple[str, ...], endings: tuple[str, ...]) -> str:
    """Return the text without removable words at its beginning or end."""
    while True:
        found = max((o for o in openings if f"{text} ".startswith(f"{o} ")), key=len, default=None)
        ending = max((e for e in endings if f" {text}".endswith(f" {e}")), key=len, default="") if text else ""
        if found is None and not ending:
            return text
        text = text[len(found or "") : len(text) - len(ending)].strip()
