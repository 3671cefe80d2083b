"""Mistakes, help and lists cost no import of torch: here it cannot be imported at all.

All commands run in one process, because each would spend most of its time on starting Python.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[3]
SOURCES = [ROOT, *(ROOT / name for name in ("data", "eval", "train", "serve"))]
HEAVY = ("torch", "transformers", "peft", "accelerate", "gradio")


MISTAKES = [
    ("ask gone.tif What?", "'gone.tif' does not exist"),
    ("ask gone.tif away.tif What?", "away.tif' does not exist"),
    ("ask empty What?", "holds no image"),
    ("ask a.png What? --region-file bad.geojson", "bad.geojson is not GeoJSON"),
    ("ask a.png What? --region-file gone.gpkg", "gone.gpkg cannot be read"),
    ("ask a.png What? --region 900,900,950,950", "lies outside"),
    ("ask a.png What? --overlay gone/x.png", "no folder gone"),
    ("ask a.png What? --table a.xls", "'.xls'"),
    ("ask a.png What? --temperature -1", "temperature=-1"),
    ("ask a.png What? --model ./gone", "no checkpoint directory './gone'"),
    ("ask a.png What? --model empty", "empty holds no config.json"),
    ("ask a.png What? --model adapter", "adapts './nowhere', which is not found"),
    ("ask a.png What? --model adapter --base ./gone", "no checkpoint directory './gone'"),
    ("chat gone.tif", "'gone.tif' does not exist"),
    ("chat a.png --model ./gone", "no checkpoint directory './gone'"),
    ("demo --model ./gone", "no checkpoint directory './gone'"),
    ("demo --out file/x", "cannot be created"),
    ("info ./gone", "no checkpoint directory './gone'"),
    ("info empty", "empty holds no config.json"),
    ("convert ./gone new", "no checkpoint directory './gone'"),
    ("convert empty new", "empty holds no config.json"),
    ("merge ./gone new", "no checkpoint directory './gone'"),
    ("merge empty new", "empty is no adapter"),
    ("merge adapter new", "adapts './nowhere', which is not found"),
    ("merge adapter file", "file exists already"),
    ("serve --model ./gone", "no checkpoint directory './gone'"),
    ("serve --auth-file gone.txt", "gone.txt cannot be read"),
    ("serve --port 99999", "port=99999"),
    ("clip classify gone.tif --classes a,b", "1 of 1 images left out"),
    ("clip classify a.png", "give --classes a,b,c"),
    ("clip classify a.png --classes gone.txt", "gone.txt cannot be read"),
    ("clip classify a.png --classes a,b --model ./gone", "no checkpoint directory './gone'"),
    ("clip classify a.png --prompts gone.safetensors", "no file gone.safetensors"),
    ("clip convert ./gone new", "no checkpoint directory './gone'"),
    ("train lora --data gone.json --out o", "cannot read gone.json"),
    ("train lora --data samples.json", "out is not given"),
    ("train lora --data samples.json --out file", "out=file is a file"),
    ("train lora --data samples.json --out o --model ./gone", "no checkpoint directory './gone'"),
    ("train lora --config gone.yaml", "no recipe 'gone.yaml'"),
    ("train full --dry-run --model ./gone", "no checkpoint directory './gone'"),
    ("train clip --data gone.jsonl --out o", "cannot read gone.jsonl"),
    ("train coop gone --out x.safetensors", "gone does not exist"),
    ("train cocoop empty --out x.safetensors --model ./gone", "no checkpoint directory './gone'"),
    ("eval run no-such-benchmark --out o", "no benchmark is called 'no-such-benchmark'"),
    ("eval run rsvqa-lr --out o --questions gone.json", "cannot read gone.json"),
    ("eval score gone.jsonl --as vqa", "gone.jsonl"),
    ("data build coco gone.json --out x.json", "gone.json does not exist"),
    ("data check gone.json", "cannot read gone.json"),
    ("data index gone.json", "cannot read gone.json"),
]
GOLDEN = Path(__file__).parent / "golden"
HELP = ["--help", *(f"{path.stem} --help" for path in sorted(GOLDEN.glob("*.txt")) if path.stem != "geochat")]
SAY_SOMETHING = (*HELP, "--version", "eval list")
SCRIPT = """
import contextlib, io, json, sys
from geochat.cli import main
results = {}
for command in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(command.split())
        except SystemExit as end:
            status = end.code
    results[command] = status, out.getvalue(), err.getvalue()
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Exit status, output and errors of each command, in a folder with an image, `a.png`."""
    fakes, here = tmp_path_factory.mktemp("fakes"), tmp_path_factory.mktemp("here")
    for name in HEAVY:
        (fakes / f"{name}.py").write_text(f"raise AssertionError('{name} was imported')\n")
    (here / "empty").mkdir()
    Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(here / "a.png")
    (here / "bad.geojson").write_text("{")
    (here / "file").touch()
    (here / "samples.json").write_text("[]")
    (here / "adapter").mkdir()
    (here / "adapter" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "./nowhere"}))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [fakes, *SOURCES])), "HF_HUB_OFFLINE": "1"},
        cwd=here,
        input=json.dumps([*(command for command, _ in MISTAKES), *SAY_SOMETHING]),
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(("command", "message"), MISTAKES)
def test_a_mistake(results, command, message):
    status, out, err = results[command]
    assert message in err, err
    assert (status, out) == (1, "")


@pytest.mark.parametrize("command", SAY_SOMETHING)
def test_what_says_something_by_itself(results, command):
    status, out, err = results[command]
    assert (status, err) == (0, "")
    assert out
