import shutil
from importlib.metadata import PackageNotFoundError

import pytest

from geochat.cli import doctor, main
from geochat.errors import CheckpointError
from geochat.models import bundled_path


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setitem(doctor.CHECKS, "model", lambda: "tiny loads")


@pytest.mark.usefixtures("model")
def test_a_sound_installation_is_0(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    for check in ("python", "torch", "device", "memory", "rasters", "vectors", "write access", "model"):
        assert any(line[5:].startswith(check) for line in lines)


@pytest.mark.usefixtures("model")
def test_every_check_runs_after_one_has_failed(capsys, monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr("pyogrio.list_drivers", lambda **_options: {"GeoJSON": "rw"})
    monkeypatch.setattr("importlib.metadata.version", missing)
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "FAIL shapely       not installed; run " in out
    assert "FAIL vectors       pyogrio's GDAL cannot write GPKG" in out
    assert "ok   model" in out


def test_a_model_that_does_not_load_is_1(capsys, monkeypatch):
    def broken(**_options):
        raise CheckpointError("no\nmodel")

    monkeypatch.setattr("geochat.checkpoints.load", broken)
    assert main(["doctor"]) == 1
    assert "FAIL model         no model\n" in capsys.readouterr().out


def test_a_sound_folder_is_0(capsys):
    assert main(["doctor", "--security", str(bundled_path())]) == 0
    assert capsys.readouterr().out == f"{bundled_path()}: everything would be loaded\n"


def test_what_would_not_be_loaded_is_1(tmp_path, capsys):
    folder = shutil.copytree(bundled_path(), tmp_path / "model", ignore=shutil.ignore_patterns("*.safetensors", "clip"))
    (folder / "modeling\x1b[31m.py").write_text("import os")
    (folder / "chat_template.jinja").write_text("{{ 'a' * 10**10 }}")
    (folder / "notes.txt").symlink_to("/etc/hostname")
    assert main(["doctor", "--security", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "LEFT modeling?[31m.py: code, which is never run" in out
    assert "FAIL chat_template.jinja: the chat template is not used" in out
    assert "note notes.txt: a link that leads outside" in out
    assert "\x1b" not in out


def test_a_folder_that_is_not_there_is_said(capsys):
    assert main(["doctor", "--security", "/nowhere/at/all"]) == 1
    assert "no checkpoint directory '/nowhere/at/all'" in capsys.readouterr().err
