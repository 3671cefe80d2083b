"""What a process does with the streams it is given."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "scripted_chat.py"
FULL = Path("/dev/full")


def scripted(*argv, answers=(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, **environment):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, argv)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "ANSWERS": json.dumps(answers), **environment},
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def test_another_program_can_hold_the_conversation(geotiff):
    """Each answer comes at once, not when the pipe is full; bytes that are no UTF-8 do no harm."""
    with scripted("chat", geotiff, answers=["one", "two"]) as process:
        for question, answer in ((b"One?\n", b"one\n"), (b"\xff Two?\n", b"two\n")):
            process.stdin.write(question)
            process.stdin.flush()
            assert process.stdout.readline() == answer
            assert process.stdout.readline() == b"\n"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_ends_it_with_one_line(geotiff, options):
    with FULL.open("w") as full, scripted("chat", geotiff, *options, answers=["a", "b"], stdout=full) as process:
        _, err = process.communicate(b"One?\nTwo?\n", timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"geochat: error: the output cannot be written: No space left on device")
    assert err.count(b"\n") == 1


def test_a_reader_that_goes_away_ends_it(geotiff):
    with scripted("chat", geotiff, answers=["a", "b"]) as process:
        process.stdout.close()
        process.stdin.write(b"One?\nTwo?\n")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


def test_a_terminal_without_the_letters_gets_escapes(geotiff):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with scripted("ask", geotiff, "Ô?", answers=["aéroport"], **plain) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"a\\xe9roport\n", b"")
    with scripted("ask", geotiff, "What?", "--json", answers=["aéroport"], **plain) as process:
        out, _ = process.communicate(timeout=60)
    assert json.loads(out)["text"] == "aéroport"


@pytest.mark.parametrize(("closed", "status"), [("<&-", 0), (">&-", 0), ("2>&-", 0)])
def test_a_closed_stream_is_no_failure(geotiff, closed, status):
    shell = f'"{sys.executable}" "{SCRIPT}" chat "{geotiff}" {closed}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ANSWERS": '["a"]'}
    done = subprocess.run(["sh", "-c", shell], env=environment, input=b"One?\n", capture_output=True, check=False)
    assert done.returncode == status
    assert done.stderr == b""
