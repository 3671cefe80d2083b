import json
import sys

import pytest

from geochat.checkpoints import save_checkpoint
from geochat.checkpoints.shards import Shard
from geochat.cli import main


@pytest.fixture(scope="module")
def saved(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(folder, checkpoint.model, checkpoint.processor, checkpoint.settings)
    return folder


def test_the_summary_is_printed(saved, tmp_path, capsys):
    assert main(["convert", str(saved), str(tmp_path / "new"), "--dtype", "float16", "--shard-size", "100KB"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    files = len(list((tmp_path / "new").glob("*.safetensors")))
    assert captured.out.startswith(f"{tmp_path / 'new'}: ")
    assert f"as float16 in {files} files" in captured.out


def test_as_json(saved, tmp_path, capsys):
    assert main(["convert", str(saved), str(tmp_path / "new"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["folder"] == str(tmp_path / "new")
    assert (printed["dtype"], printed["shards"], printed["resumed"], printed["dropped"]) == ("float32", 1, 0, [])


def test_progress_goes_to_a_terminal(saved, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["convert", str(saved), str(tmp_path / "new"), "--shard-size", "100KB"]) == 0
    printed = capsys.readouterr().err
    assert "\r" in printed
    assert " MB" in printed


def test_an_interrupted_conversion_resumes(saved, tmp_path, capsys, monkeypatch):
    write, written = Shard.write, []

    def interrupted(shard, folder):
        if written:
            raise KeyboardInterrupt
        written.append(shard)
        return write(shard, folder)

    monkeypatch.setattr(Shard, "write", interrupted)
    arguments = ["convert", str(saved), str(tmp_path / "new"), "--shard-size", "100KB"]
    assert main(arguments) == 130
    assert "run the same command again to resume" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(arguments) == 0
    assert "1 of the files were finished by an earlier run" in capsys.readouterr().out


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory that is not empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["./gone", "new"], "there is no checkpoint directory './gone'"),
        (["SAVED", "new", "--dtype", "int4"], "unknown dtype 'int4'"),
        (["SAVED", "new", "--shard-size", "big"], "shard size 'big'"),
        (["SAVED", "new", "--base", "SAVED"], "is not an adapter and takes no base"),
        (["SAVED", "."], "exists already"),
    ],
)
def test_errors_are_one_line(saved, here, capsys, arguments, message):
    assert main(["convert", *(str(saved) if a == "SAVED" else a for a in arguments)]) == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not (here / "new").exists()
