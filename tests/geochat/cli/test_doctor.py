import pytest

from geochat.cli import checks, main
from geochat.errors import CheckpointError


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(checks, "_model", lambda: "tiny loads")


@pytest.mark.usefixtures("model")
def test_a_sound_installation_is_0(capsys):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    for check in ("python", "torch", "device", "memory", "rasters", "vectors", "write access", "model"):
        assert any(line[5:].startswith(check) for line in lines)


@pytest.mark.usefixtures("model")
def test_every_check_runs_after_one_has_failed(capsys, monkeypatch):
    monkeypatch.setattr(checks, "_VECTOR_DRIVERS", ("GPKG", "Parchment"))
    monkeypatch.setattr(checks, "_PACKAGES", ("torch", "no-such-package"))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "FAIL no-such-package" in out
    assert "cannot write Parchment" in out
    assert "ok   model" in out


def test_a_model_that_does_not_load_is_1(capsys, monkeypatch):
    def broken(**_options):
        raise CheckpointError("no\nmodel")

    monkeypatch.setattr("geochat.checkpoints.load", broken)
    assert main(["doctor"]) == 1
    assert "FAIL model         no model\n" in capsys.readouterr().out
