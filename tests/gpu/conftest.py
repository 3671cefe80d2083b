"""What tests on a GPU share; without one they are skipped."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from PIL import Image

from geochat_train.recipe_files import load_recipe, to_yaml

DEVICE = "cuda"
SAMPLES = Path(str(files("geochat") / "samples"))


@pytest.fixture(scope="session", autouse=True)
def _gpu():
    """Compute in whole float32, so that what is compared with the CPU's differs by the order of sums alone."""
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch reaches through CUDA")
    operators = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    before = [operator.fp32_precision for operator in operators]
    for operator in operators:
        operator.fp32_precision = "ieee"
    yield
    for operator, precision in zip(operators, before, strict=True):
        operator.fp32_precision = precision


@pytest.fixture(scope="session")
def device():
    return DEVICE


@pytest.fixture(scope="session")
def samples():
    """The folder of the images in the package."""
    return SAMPLES


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    """Eight images with two questions each in `train.jsonl`, and a caption each in `captions.jsonl`."""
    folder = tmp_path_factory.mktemp("material")
    with (folder / "train.jsonl").open("w") as samples, (folder / "captions.jsonl").open("w") as captions:
        for number in range(8):
            name = f"{number}.png"
            Image.effect_noise((64, 48), 20 * number + 5).convert("RGB").save(folder / name)
            captions.write(json.dumps({"image": name, "captions": [f"noise of strength {number}"]}) + "\n")
            asked = {"Is there a ship in the image?": "no", "How many cars are there in the image?": str(number)}
            for question, answer in asked.items():
                turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
                row = {"id": f"{number} {question}", "image": name, "conversations": turns}
                samples.write(json.dumps(row) + "\n")
    return folder


@pytest.fixture(scope="session")
def recipe(material):
    """`recipe(out, steps=3)`: `lora-mini` on the material, or another method with its defaults."""

    def make(out, method="lora", **given):
        common = {"data": material / "train.jsonl", "out": out, "workers": 0, "log_every": 1, "save_every": 2}
        if method == "clip":
            common |= {"data": material / "captions.jsonl", "batch_size": 8}
        if method == "qlora":
            common |= {"rank": 8, "batch_size": 4}
        return load_recipe(method, "lora-mini" if method == "lora" else None, {**common, **given})

    return make


@pytest.fixture(scope="session")
def first_loss(recipe, tmp_path_factory, losses):
    """The loss of `lora-mini`'s first step on the CPU, where a process that sees no GPU computes it."""
    folder = tmp_path_factory.mktemp("cpu")
    (folder / "mine.yaml").write_text(to_yaml(recipe(folder / "out", steps=1, precision="float32")))
    argv = ["-m", "geochat", "train", "lora", "--config", folder / "mine.yaml"]
    run_python(*argv, CUDA_VISIBLE_DEVICES="")
    return losses(folder / "out")[0]


@pytest.fixture(scope="session")
def python():
    """Run Python in a process of its own: `python("-m", "geochat", NAME="value of a variable")`."""
    return run_python


def run_python(*arguments: object, **variables: str) -> str:
    """What the process printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | variables
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
