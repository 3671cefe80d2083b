"""Files as large as GeoChat_Instruct pass through in bounded memory: `pytest -m slow -s tests/data/test_large.py`."""

import json
import os
import random
import subprocess
import sys
import textwrap

import pytest

COUNT = 300_000
MEASURE = """
    import json, random, sys, time
    from pathlib import Path
    import pyarrow.ipc
    from geochat_data.samples import read_samples
    from geochat_data.index import SampleIndex, write_index

    def own_memory():  # without pages of mapped files, which the system takes back at will
        lines = Path("/proc/self/status").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000

    source, target = map(Path, sys.argv[1:])
    before, peak = own_memory(), 0
    def watched():
        global peak
        for number, sample in enumerate(read_samples(source)):
            if number % 5000 == 0:
                peak = max(peak, own_memory())
            yield sample
    start = time.perf_counter()
    count = write_index(target, watched())
    written = time.perf_counter() - start
    index, rng = SampleIndex(target), random.Random(0)
    longest = int(index.lengths.max())
    start = time.perf_counter()
    for _ in range(20_000):
        index[rng.randrange(count)]
    read = (time.perf_counter() - start) / 20_000
    peak = max(peak, own_memory())
    print(json.dumps({"count": count, "seconds": written, "read_us": read * 1e6, "growth_mb": peak - before}))
"""


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
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEASURE), tmp_path / "big.json", tmp_path / "big.arrow"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout)
    sys.stdout.write(f"\n{measured}\n")
    assert measured["count"] == COUNT
    assert measured["growth_mb"] < 100
