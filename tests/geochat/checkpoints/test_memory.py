"""A conversion needs little memory, whatever the size of the model."""

import json
import sys

import pytest
import torch

HIDDEN, INNER, LAYERS = 2048, 5504, 4


@pytest.fixture
def wide(write_original, write_tower, original_state):
    """A model as wide as a small Llama: four shards of about 100 MB, a layer in each."""
    write_tower()
    folder = write_original(name="wide")
    (folder / "pytorch_model.bin").unlink()
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS}
    (folder / "config.json").write_text(json.dumps(config))
    wider = {48: HIDDEN, 96: INNER}
    places = {}
    for layer in range(LAYERS):
        here = f"model.layers.{layer}."
        layout = {name.replace("layers.0.", f"layers.{layer}."): tensor for name, tensor in original_state.items()}
        state = {
            name: tensor if "vision_tower" in name else torch.ones([wider.get(n, n) for n in tensor.shape]).half()
            for name, tensor in layout.items()
            if name.startswith(here) or (layer == 0 and ".layers." not in name.removeprefix("model.vision_tower"))
        }
        state |= {name: t for name, t in original_state.items() if layer == 0 and "vision_tower" in name}
        file = f"pytorch_model-{layer + 1:05}-of-{LAYERS:05}.bin"
        torch.save(state, folder / file)
        places |= dict.fromkeys(state, file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
@pytest.mark.slow
def test_it_stays_under_two_of_the_source_shards(wide, run, tmp_path):
    largest = max(file.stat().st_size for file in wide.glob("*.bin"))
    assert largest > 90e6
    script = f"""
        import re
        from pathlib import Path
        from geochat.checkpoints import convert
        peak = lambda: 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        before = peak()
        convert(Path({str(wide)!r}), Path({str(tmp_path / "native")!r}), shard_size="150MB")
        print(peak() - before)
    """
    result = run(script)
    assert result.stdout, result.stderr
    growth = int(result.stdout)
    assert growth < 2 * largest, f"{growth / 1e6:.0f} MB for shards of {largest / 1e6:.0f} MB"
    written = sum(file.stat().st_size for file in (tmp_path / "native").glob("*.safetensors"))
    assert written > LAYERS * 90e6
