"""Through a real, tiny model: what is printed, and that libraries keep silent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from geochat.checkpoints import save_checkpoint
from geochat.cli import main
from geochat.errors import CheckpointError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def saved(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    save_checkpoint(folder, checkpoint.model, checkpoint.processor, checkpoint.settings)
    return folder


@pytest.mark.slow
def test_a_process_prints_the_answer_and_nothing_else(saved, geotiff):
    command = "import sys; from geochat.cli import main; sys.exit(main())"
    options = ["--model", str(saved), "--device", "cpu", "--max-new-tokens", "8", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", command, "ask", str(geotiff), "What is in the image?", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    value = json.loads(done.stdout)
    assert value["model"] == "tiny"
    assert value["usage"]["completion_tokens"] <= 8


def test_a_budget_that_is_spent_is_noted(saved, geotiff, capsys):
    assert main(["ask", str(geotiff), "What?", "--model", str(saved), "--device", "cpu", "--max-new-tokens", "1"]) == 0
    assert "cut off after 1 tokens; raise --max-new-tokens" in capsys.readouterr().err


def test_too_much_for_the_context_is_an_error(saved, geotiff, capsys):
    assert main(["ask", str(geotiff), "What?", "--model", str(saved), "--device", "cpu"]) == 1
    assert "more than the model's context of 256" in capsys.readouterr().err


def test_info_as_text_and_json_agree(saved, checkpoint, capsys):
    assert main(["info", str(saved)]) == 0
    text = capsys.readouterr().out
    assert main(["info", str(saved), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["name"] == "tiny"
    assert len(facts["sha256"]) == 64
    assert facts["parameters"] == sum(parameter.numel() for parameter in checkpoint.model.parameters())
    assert (facts["image_size"], facts["image_tokens"], facts["context"]) == (28, 4, 256)
    assert f"{facts['parameters']:,}" in text
    assert facts["sha256"] in text
    assert sum(part["parameters"] for part in facts["parts"].values()) == facts["parameters"]
    assert sum(part["bytes"] for part in facts["parts"].values()) == 4 * facts["parameters"]  # saved as float32
    assert facts["memory"]["float32"] == 2 * facts["memory"]["bfloat16"] == 4 * facts["parameters"]
    assert facts["memory"]["4bit"] < facts["memory"]["8bit"] < facts["memory"]["bfloat16"]
    for line in ("vision tower", "projector", "language model", "memory for weights", "licence"):
        assert line in text


def test_info_about_what_is_not_there(capsys):
    assert main(["info", "./gone"]) == 1
    assert capsys.readouterr().err.startswith("geochat: error: there is no checkpoint directory './gone'")


def test_what_is_loaded_and_how_reaches_the_loader(saved, geotiff, tmp_path, capsys, monkeypatch):
    asked = {}

    def load(source, **options):
        asked.update(source=source, **options)
        raise CheckpointError("enough")

    monkeypatch.setattr("geochat.checkpoints.load", load)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    options = [
        "--model",
        str(adapter),
        "--base",
        str(saved),
        "--device",
        "cpu",
        "--dtype",
        "float16",
        "--quantization",
        "4bit",
    ]
    assert main(["ask", str(geotiff), "What?", *options]) == 1
    assert capsys.readouterr().err == "geochat: error: enough\n"
    assert asked == {
        "allow_download": False,
        "source": str(adapter),
        "base": str(saved),
        "device": "cpu",
        "dtype": "float16",
        "quantization": "4bit",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "./gone"], "no checkpoint directory './gone'"),
        (["--base", "./gone"], "is not an adapter and takes no base"),
        (["--device", "abacus"], "abacus"),
        (["--dtype", "float7"], "float7"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_one_line(saved, geotiff, capsys, options, message):
    assert main(["ask", str(geotiff), "What?", "--model", str(saved), *options]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("geochat: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
