import json

import pytest

from geochat.cli import main
from geochat.errors import CheckpointError
from geochat.models import Capabilities
from geochat.verification import verify

NAMES = [
    "load",
    "settings",
    "prompts",
    "regions",
    "repeatable",
    "batch",
    "scenes",
    "boxes",
    "readable",
    "speed",
    "memory",
]


@pytest.mark.slow
def test_the_bundled_model_is_sound(capsys):
    assert main(["verify", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[5:].split()[0] for line in lines] == NAMES
    assert {line[:5].strip() for line in lines} <= {"ok", "look"}
    for sure in ("load", "prompts", "regions", "repeatable", "batch", "readable"):
        assert next(line for line in lines if line[5:].startswith(sure)).startswith("ok")


def test_what_does_not_load_is_a_finding(tmp_path, capsys):
    assert main(["verify", str(tmp_path), "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["ok"] is False
    assert [finding["name"] for finding in printed["findings"]] == ["load"]


def test_every_check_runs_after_one_has_failed(chat_with):
    chat = chat_with(*["{<1><2>"] * 100, capabilities=Capabilities())
    chat.engine.answers[1:1] = ["another answer"]
    found = {finding.name: finding for finding in verify(lambda: chat)}
    assert list(found) == NAMES
    assert found["repeatable"].verdict == "look"
    assert found["readable"].verdict == "look"
    assert found["boxes"].verdict == "look"


def test_an_engine_that_breaks_is_a_finding_each_time(chat_with):
    def broken(_request):
        raise CheckpointError("the weights\nare gone")

    chat = chat_with()
    chat.engine.stream = broken
    found = {finding.name: finding for finding in verify(lambda: chat)}
    assert list(found) == NAMES
    assert found["scenes"].verdict == "FAIL"
    assert found["scenes"].detail == "the weights are gone"


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_missing_folder_costs_no_torch(option, capsys):
    assert main(["verify", "./nowhere", *option]) == 1
    assert "nowhere" in capsys.readouterr().out
