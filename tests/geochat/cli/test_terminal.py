"""A conversation at a terminal."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="pseudo-terminals are a Unix matter")

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "scripted_chat.py"


class Terminal:
    """A process at a terminal of its own; `screen` is all it has shown."""

    def __init__(self, *argv, answers=(), stdout=None, **environment):
        self._screen, inside = pty.openpty()
        self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *argv],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "ANSWERS": json.dumps(answers), **environment},
            stdin=inside,
            stdout=stdout or inside,
            stderr=inside,
            start_new_session=True,
        )
        os.close(inside)

    def wait_for(self, text, seconds=60):
        """Read until `text` appears after what was last waited for; gives what came before it."""
        deadline = time.monotonic() + seconds
        seen = ""
        while text not in seen:
            ready, _, _ = select.select([self._screen], [], [], deadline - time.monotonic())
            assert ready, f"{text!r} did not appear: {self.screen!r}"
            seen += os.read(self._screen, 1).decode(errors="replace")
            self.screen += seen[-1:]
        return seen.removesuffix(text)

    def type(self, keys):
        os.write(self._screen, keys.encode())

    def interrupt(self):
        time.sleep(0.5)  # nobody is faster; a signal between readline's echo and its wait is only seen at the next key
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """The exit status, once the process is through."""
        try:
            while rest := os.read(self._screen, 1024):
                self.screen += rest.decode(errors="replace")
        except OSError:  # Linux says so that the other side is closed
            pass
        os.close(self._screen)
        return self.process.wait(60)


@pytest.fixture
def sit_down(geotiff, tmp_path):
    """`sit_down(*answers)` starts a conversation and waits for its first prompt."""
    terminals = []

    def start(*answers, **options):
        terminal = Terminal("chat", str(geotiff), answers=answers, XDG_STATE_HOME=str(tmp_path / "state"), **options)
        terminals.append(terminal)
        assert "scene.tif, 200 x 100 pixels; /help lists the commands" in terminal.wait_for("> ")
        return terminal

    yield start
    for terminal in terminals:
        terminal.process.kill()
        terminal.process.wait()


def test_questions_settings_and_the_end_of_input(sit_down):
    terminal = sit_down("an airfield", "a plane")
    terminal.type("What is this?\n")
    terminal.wait_for("\nan airfield\r\n\r\n> ")
    terminal.type("/task vqa\n")
    terminal.wait_for("\nvqa> ")
    terminal.type("/region 30,0,50,40\n")
    terminal.wait_for("vqa, 1 region> ")
    terminal.type("/region gone.geojson\n")
    terminal.wait_for("gone.geojson cannot be read: No such file or directory")
    terminal.wait_for("vqa, 1 region> ")
    terminal.type("What?\n")
    terminal.wait_for("\na plane\r\n")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.end() == 0  # a mistake at the terminal was seen and is no failure


def test_interrupting_an_answer_keeps_the_conversation(sit_down, tmp_path):
    terminal = sit_down("It begins with...", "the second")
    terminal.type("What is this?\n")
    terminal.wait_for("It begins with...")
    terminal.interrupt()
    terminal.wait_for("The answer was cancelled")
    terminal.wait_for("> ")
    terminal.type("And?\n")
    terminal.wait_for("\nthe second\r\n")
    terminal.wait_for("> ")
    terminal.type(f"/save {tmp_path / 'a.json'}\n")
    terminal.wait_for("wrote ")
    terminal.wait_for("> ")
    terminal.type("/quit\n")
    assert terminal.end() == 0
    turns = json.loads((tmp_path / "a.json").read_text())["answers"]
    assert [(turn["text"], turn["finish"]) for turn in turns] == [
        ("It begins with...", "cancelled"),
        ("the second", "stop"),
    ]
    assert turns[1]["usage"]["prompt_tokens"] == 3  # the scripted engine counts messages


@pytest.mark.slow
def test_interrupting_the_line_drops_it_and_twice_leaves(sit_down):
    terminal = sit_down("the answer")
    terminal.type("never mind")
    terminal.wait_for("never mind")
    terminal.interrupt()
    terminal.wait_for("> ")
    terminal.type("What?\n")
    terminal.wait_for("\nthe answer\r\n")
    terminal.wait_for("> ")
    terminal.interrupt()
    terminal.wait_for("> ")
    terminal.type("on second thought")
    terminal.wait_for("on second thought")
    terminal.interrupt()
    terminal.wait_for("> ")  # a line was begun: that is another first time
    terminal.interrupt()
    assert terminal.end() == 0
    assert "Traceback" not in terminal.screen


def test_the_history_outlives_the_session(sit_down, tmp_path):
    pytest.importorskip("readline")
    first = sit_down("one")
    first.type("What is in the harbor?\n")
    first.wait_for("\none\r\n")
    first.wait_for("> ")
    first.type("\x04")
    assert first.end() == 0
    second = sit_down("two")
    second.type("\x10")  # Ctrl-P, the line before
    second.wait_for("What is in the harbor?")
    second.type("\n")
    second.wait_for("\ntwo\r\n")
    second.wait_for("> ")
    second.type("/quit\n")
    assert second.end() == 0
    assert (tmp_path / "state" / "geochat" / "chat_history").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("trouble", ["no readline", "no state folder"])
def test_without_readline_or_a_place_for_history(sit_down, tmp_path, trouble):
    if trouble == "no readline":
        (tmp_path / "readline.py").write_text("raise ImportError")
        terminal = sit_down("the answer", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    else:
        (tmp_path / "state").touch()
        terminal = sit_down("the answer")
    terminal.type("What?\n")
    terminal.wait_for("\nthe answer\r\n")
    terminal.wait_for("> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.screen


def test_answers_can_go_to_a_file_while_the_prompt_stays(sit_down, tmp_path):
    with (tmp_path / "answers.txt").open("w") as file:
        terminal = sit_down("an airfield", stdout=file)
        terminal.type("What is this?\n")
        terminal.wait_for("> ")
        terminal.type("\x04")
        assert terminal.end() == 0
    assert "airfield" not in terminal.screen
    assert (tmp_path / "answers.txt").read_text() == "an airfield\n\n"
