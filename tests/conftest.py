"""Fixtures every test may use."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: tiny models wait for a second thread longer than it helps
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in a script's background; processes started here inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines are shared, so no deadlines; CI tries the same examples each time, people new ones.
settings.register_profile("geochat", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("geochat")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Number of processes of `pytest -n auto`: one a core, and no more than a machine of 8 GB can hold.

    Two a core took as long: 7.6 and 8.3 minutes on two cores, where one took 8.0.
    """
    return min(4, os.cpu_count() or 1)


def pytest_collectstart() -> None:
    """Spare the garbage collector while tests are imported: it finds nothing, and takes a fifth of that time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what is loaded by now: each training ends with a full collection."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of committed fixtures; its README says what they are."""
    return Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference vectors and real imagery beside the checkout; tests that need it skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference material in ../shared, which a clone does not have")
    return folder


@pytest.fixture(scope="session")
def tiny_clip(fixtures, tmp_path_factory) -> Path:
    """The directory of a tiny random CLIP, as transformers saves one."""
    import torch
    from transformers import CLIPConfig, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    from geochat.clip.tokenizer import read_merges

    folder = tmp_path_factory.mktemp("clip")
    tokenizer = read_merges(fixtures / "open_clip" / "merges.txt.gz")
    end = len(tokenizer) - 1
    tower = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = tower | {"vocab_size": end + 1, "max_position_embeddings": 64, "pad_token_id": end}
    text |= {"bos_token_id": end - 1, "eos_token_id": end}
    vision = tower | {"image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=32))
    for name, parameter in model.named_parameters():  # wider than the initialisation, so that classes differ
        if parameter.dim() > 1:
            parameter.data.mul_(10 if "embedding" in name else 3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tiny_clip):
    """The tiny random CLIP as a dual encoder."""
    from geochat.clip import DualEncoder

    return DualEncoder.from_pretrained(tiny_clip, device="cpu")


@pytest.fixture(scope="session")
def losses():
    """The logged training losses of a run."""

    def read(out):
        rows = [json.loads(line) for line in (out / "run" / "log.jsonl").read_text().splitlines()]
        return [row["loss"] for row in rows if "loss" in row]

    return read


@pytest.fixture(scope="session")
def processes():
    """Run a script in several processes of one group, as `torchrun` would start them."""
    return run_processes


def run_processes(script: str, count: int, *arguments: object, timeout: int = 240) -> list[str]:
    """Run a script in `count` processes of one group; returns what each printed.

    The environment is what `torchrun` and `accelerate launch` set.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                "OMP_NUM_THREADS": "1",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "WORLD_SIZE": str(count),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "LOCAL_WORLD_SIZE": str(count),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    try:
        ended = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    for process, (_, err) in zip(started, ended, strict=True):
        assert process.returncode == 0, err
    return [out for out, _ in ended]
