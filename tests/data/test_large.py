"""Large files are read in bounded memory: `pytest -m slow -s tests/data/test_large.py`."""

import json
import os
import random
import subprocess
import sys
import textwrap

import pytest

COUNT = 300_000
MEMORY = """
import json, random, sys, time
from pathlib import Path

def own_memory():  # without pages of mapped files, which the system takes back at will
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000
"""
INDEX = """
    import pyarrow.ipc
    from geochat_data.samples import read_samples
    from geochat_data.index import SampleIndex, write_index

    source, target = map(Path, sys.argv[1:])
    before, peak = own_memory(), 0
    def watched():
        global peak
        for number, sample in enumerate(read_samples(source)):
            if number % 5000 == 0:
                peak = max(peak, own_memory())
            yield sample
    start = time.process_time()
    count = write_index(target, watched())
    written = time.process_time() - start
    index, rng = SampleIndex(target), random.Random(0)
    longest = int(index.lengths.max())
    start = time.process_time()
    for _ in range(20_000):
        index[rng.randrange(count)]
    read = (time.process_time() - start) / 20_000
    peak = max(peak, own_memory())
    print(json.dumps({"count": count, "seconds": written, "read_us": read * 1e6, "growth_mb": peak - before}))
"""
COCO = """
    from geochat_data.readers import DataSource, read

    before, start = own_memory(), time.process_time()
    image = next(read("coco", DataSource(Path(sys.argv[1]))))
    seconds = time.process_time() - start
    print(json.dumps({"objects": len(image.objects), "seconds": seconds, "growth_mb": own_memory() - before}))
"""


def measure(program, *arguments):
    """Run a program in a process of its own; the figures it prints."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY + textwrap.dedent(program), *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    sys.stdout.write(f"\n{measured}\n")
    return measured


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_300000_samples_are_indexed_in_under_100_mb(tmp_path):
    rng, words = random.Random(0), ["airplane", "harbor", "the", "near", "white", "left"]
    with (tmp_path / "big.json").open("w") as file:
        for number in range(COUNT):
            turns = []
            for turn in range(rng.randint(1, 5)):
                question = ("<image>\n" if turn == 0 else "") + " ".join(rng.choices(words, k=rng.randint(5, 20)))
                answer = " ".join(rng.choices(words, k=rng.randint(1, 40)))
                turns += [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
            row = {"id": str(number), "image": f"images/{number // 3}.png", "conversations": turns}
            file.write((",\n" if number else "[\n") + json.dumps(row))
        file.write("\n]\n")
    measured = measure(INDEX, tmp_path / "big.json", tmp_path / "big.arrow")
    assert measured["count"] == COUNT
    assert measured["growth_mb"] < 100


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_coco_file_takes_about_twice_its_size(folder):
    folder.picture("a.png", (640, 480))
    rng = random.Random(0)
    images = [{"id": 1, "file_name": "a.png"}, *({"id": n, "file_name": f"{n}.png"} for n in range(2, 20_000))]
    rows = [
        {"id": n, "image_id": 1 + n // 7, "category_id": 1, "segmentation": [[rng.uniform(0, 479) for _ in range(50)]]}
        for n in range(100_000)
    ]
    content = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "ship"}]}
    size = folder.text("big.json", json.dumps(content)).stat().st_size / 1e6
    measured = measure(COCO, folder / "big.json")
    assert measured["objects"] == 7
    assert measured["growth_mb"] < 2 * size
