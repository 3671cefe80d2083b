"""Prompt templates: sentences in which `{}` stands for a class.

The ensemble consists of the prompts that Radford et al. (2021) use for their remote-sensing benchmarks: photographs and
imagery, satellite and aerial.
"""

from collections.abc import Sequence
from pathlib import Path

from geochat.errors import PromptError

REMOTE_SENSING = (
    "a satellite photo of {}.",
    "a centered satellite photo of {}.",
    "a centered satellite photo of a {}.",
    "satellite imagery of {}.",
    "an aerial photo of {}.",
    "aerial imagery of a {}.",
    "an aerial view of {}.",
    "a remote sensing image of {}.",
)
"""Default templates of zero-shot classification."""

SETS = {"remote-sensing": REMOTE_SENSING, "photo": ("a photo of a {}.",), "satellite": ("a satellite photo of {}.",)}


def read_templates(words: Sequence[str]) -> tuple[str, ...]:
    """Read templates from names of sets, files with one template per line, and templates themselves.

    Raises:
        PromptError: A word is none of these, or a file cannot be read.
    """
    templates: list[str] = []
    for word in words:
        if word in SETS:
            templates += SETS[word]
        elif "{}" in word:
            templates.append(word)
        else:
            templates += _lines(word)
    return check_templates(templates)


def check_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Check the templates and remove duplicates.

    Raises:
        PromptError: There are none, or one has no place for the class.
    """
    for template in templates:
        if "{}" not in template:
            raise PromptError(
                f"the template {template!r} has no {{}} for the class; write it as 'an aerial photo of {{}}.'"
            )
    if not templates:
        raise PromptError("there are no templates; give at least one, such as 'an aerial photo of {}.'")
    return tuple(dict.fromkeys(templates))


def fill(template: str, name: str) -> str:
    """Insert a class into the template; underscores of its name become spaces."""
    return template.replace("{}", spoken(name))


def spoken(name: str) -> str:
    """Return a class's name as words."""
    return name.replace("_", " ")


def letters(name: str) -> str:
    """Return a class's letters and digits, for comparison with folder names: `golfcourse` is "golf course"."""
    return "".join(filter(str.isalnum, name.casefold()))


def _lines(word: str) -> list[str]:
    try:
        text = Path(word).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        known = ", ".join(SETS)
        raise PromptError(
            f"{word!r} is neither a template with {{}}, nor one of {known}, nor a file of templates ({error})"
        ) from error
    return [line.strip() for line in text.splitlines() if line.strip()]
