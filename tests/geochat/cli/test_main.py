"""The command line as a whole: help, exit status, what goes to which stream."""

import os
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from geochat import __version__
from geochat.cli import main, options
from geochat.cli.commands import COMMANDS as COMMANDS_TABLE
from geochat.prompts import TASK_NAMES, Task, read_task

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[3]
COMMANDS = ["", *sorted(path.stem for path in GOLDEN.glob("*.txt") if path.stem != "geochat")]
HEAVY = ("torch", "transformers", "numpy", "PIL", "rasterio", "gradio")


def environment(*first):
    """The environment of a process that imports the working tree, and `first` before it."""
    path = os.pathsep.join(map(str, [*first, ROOT, *(ROOT / name for name in ("data", "eval", "train", "serve"))]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "100", "NO_COLOR": "1"}


def shell(*argv, **options):
    code = "import sys; from geochat.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_agreed(command, capsys, monkeypatch):
    """To accept a change: `COLUMNS=100 geochat COMMAND --help > tests/geochat/cli/golden/COMMAND.txt`."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    with pytest.raises(SystemExit) as caught:
        main([*command.split(), "--help"])
    assert caught.value.code == 0
    expected = (GOLDEN / f"{command or 'geochat'}.txt").read_text(encoding="utf-8")
    assert capsys.readouterr().out.split() == expected.split()  # argparse breaks lines differently by version


def test_every_command_has_agreed_help():
    names = []
    for command in COMMANDS_TABLE:
        actions = getattr(import_module(command.target), "ACTIONS", ())
        names += [command.name, *(f"{command.name} {action.name}" for action in actions)]
    assert sorted(names) == COMMANDS[1:]


def test_the_list_of_commands_imports_none():
    code = "import sys; from geochat.cli import build_parser; build_parser().format_help(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.partition("_")[0].partition(".")[0] == "geochat"}
    assert ours == {"geochat", "geochat.errors", *(f"geochat.cli{m}" for m in ("", ".commands", ".output", ".process"))}
    assert not loaded & set(HEAVY)


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"geochat {__version__}\n"


def test_every_task_has_a_name():
    assert sorted(options.TASKS) == sorted(TASK_NAMES)
    assert {read_task(name) for name in options.TASKS} == {None, *Task}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["ask"], "IMAGE"),
        (["ask", "a.tif", "q", "--region", "1,2,3"], "'1,2,3' has 3 numbers"),
        (["ask", "a.tif", "q", "--region", "a,b,c,d"], "not numbers"),
        (["ask", "a.tif", "q", "--window", "1,2,3,4.5"], "not numbers"),
        (["ask", "a.tif", "q", "--window", "1,2,3"], "3 numbers"),
        (["ask", "a.tif", "q", "--stretch", "1,2,3"], "give low,high"),
        (["ask", "a.tif", "q", "--task", "fly"], "invalid choice: 'fly'"),
        (["ask", "a.tif", "q", "--max-new-tokens", "many"], "invalid int"),
        (["ask", "a.tif", "q", "--quantization", "2bit"], "invalid choice: '2bit'"),
        (["chat", "a.tif", "q"], "unrecognized arguments: q"),
    ],
)
def test_wrong_usage_is_2(argv, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_an_error_is_one_line_and_1(capsys):
    assert main(["ask", "gone.tif", "What?"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("geochat: error: 'gone.tif' does not exist")
    assert captured.err.count("\n") == 1


def test_debug_shows_the_traceback(capsys):
    assert main(["ask", "gone.tif", "What?", "--debug"]) == 1
    captured = capsys.readouterr()
    assert "Traceback" in captured.err
    assert captured.err.splitlines()[-1].startswith("geochat: error:")


def test_an_unexpected_error_says_what_to_do(capsys, geotiff, monkeypatch):
    def broken(*_args, **_options):
        raise ValueError("two\nlines")

    monkeypatch.setattr("geochat.imagery.open_image", broken)
    assert main(["ask", str(geotiff), "What?"]) == 1
    assert capsys.readouterr().err == (
        "geochat: error: unexpected ValueError: two lines; run again with --debug and report what it shows\n"
    )


def test_an_interrupt_is_130_and_silent(capsys, geotiff, answering):
    engine = answering("never")

    def interrupted(_request):
        yield from ()
        raise KeyboardInterrupt

    engine.stream = interrupted
    assert main(["ask", str(geotiff), "What?"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_ctrl_c_in_a_real_process(tmp_path):
    fifo = tmp_path / "answers"  # reading the region file blocks until somebody writes
    os.mkfifo(fifo)
    ask_forever = shell("ask", str(tmp_path / "a.tif"), "What?", "--region-file", str(fifo))
    with ask_forever as process, fifo.open("w"):
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "")


def test_a_reader_that_goes_away_is_no_error():
    with shell("doctor") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=120) == 141


def test_ctrl_c_during_imports_shows_no_traceback(tmp_path):
    """`argparse` is imported after the handler is set; here the import itself is interrupted."""
    (tmp_path / "argparse.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    command = [sys.executable, "-m", "geochat", "ask", "nothing.tif", "What?"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "{}.tif", "What?"],
        ["info", "{}"],
        ["convert", "{}", "out"],
        ["clip", "classify", "{}.png", "--classes", "a,b"],
        ["data", "build", "coco", "{}", "--out", "out.jsonl"],
        ["data", "check", "{}.jsonl"],
        ["train", "lora", "--data", "{}", "--out", "out"],
        ["serve", "--model", "{}"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_a_name_that_is_too_long_is_an_error_of_ours(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([word.replace("{}", "n" * 300) for word in words]) == 1
    err = capsys.readouterr().err
    assert err.startswith("geochat: ")
    assert "unexpected" not in err
