"""The documentation holds: commands exist, links lead somewhere, and shown output is what is printed.

Blocks marked `console` show output. They are run in order, a page in one folder that holds copies of the sample scenes;
`...` stands for whatever differs from run to run, and spaces do not matter.
"""

import contextlib
import difflib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

from geochat.cli import build_parser, main
from geochat.cli.process import parse

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *(ROOT / name / "README.md" for name in ("serve", "train", "eval", "data")),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(page):
    """The `geochat` commands of a page's shell blocks, continued lines joined, comments and pipes cut off."""
    for language, text in blocks(page):
        if language in ("", "bash", "console", "sh"):
            for line in text.replace("\\\n", " ").replace("$ geochat ", "geochat ").splitlines():
                words = shlex.split(line, comments=True) if line.startswith("geochat ") else []
                ends = [place for place, word in enumerate(words) if word in ("|", ">", ">>", "&&", "&", ";", "<")]
                if words and "..." not in words and not any(word.startswith("[") and word.isupper() for word in words):
                    yield words[: ends[0]] if ends else words


COMMANDS = [(page, words) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(
    "words", [words for _, words in COMMANDS], ids=[f"{name_of(p)}: {shlex.join(w)}"[:90] for p, w in COMMANDS]
)
def test_every_command_exists(words, capsys):
    with contextlib.suppress(SystemExit):
        parse(build_parser(), words[1:])
    assert "error:" not in capsys.readouterr().err


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=name_of)
def test_links_lead_to_files(page):
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_is_reached_from_the_readme():
    reached = {(ROOT / target).resolve() for target in LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert [name_of(page) for page in ROOT.glob("docs/*.md") if page.resolve() not in reached] == []


SHOWN = [page for page in PAGES if any(language == "console" for language, _ in blocks(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", SHOWN, ids=name_of)
def test_shown_output_is_what_is_printed(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    for sample in (ROOT / "geochat" / "samples").iterdir():
        shutil.copy(sample, tmp_path)
    for language, text in blocks(page):
        for command, expected in runs(text) if language == "console" else ():
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                main(shlex.split(command)[1:])
            shown = [line for line in printed.getvalue().splitlines() if "\r" not in line]
            assert matches(expected, "\n".join(shown)), "\n".join(
                difflib.unified_diff(expected.splitlines(), shown, "shown", "printed", lineterm="")
            )


def runs(text):
    """Each command of a console block, with the output shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.replace("\\\n", " ").partition("\n")
        assert command.startswith("geochat "), command
        yield command, expected


def matches(expected, printed):
    words = [re.escape(word).replace(r"\.\.\.", ".*") for word in expected.split()]
    return re.fullmatch(r"\s*" + r"\s+".join(words) + r"\s*", printed, re.DOTALL) is not None
