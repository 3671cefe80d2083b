"""A search in a process of its own, to be killed: `slow_search.py JOB OUT SECONDS`.

Each window takes the model so many seconds. Writes a line for each window it asks about, and the layer OUT at the end.
"""

import importlib.util
import sys
import time
from pathlib import Path

spec = importlib.util.spec_from_file_location("find_conftest", Path(__file__).with_name("conftest.py"))
helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helpers)
helpers.DIALECTS.register("fine", helpers.FINE)

SHIPS = helpers.boxes((100, 100, 160, 130), (300, 250, 360, 280, 30), (10, 10, 700, 50, 3), (700, 560, 790, 590))


def search(engine, job, **options):
    """The search, of 130 windows."""
    scene = helpers.coded_pixels(800, 600)
    return helpers.GeoChat(engine).find(scene, "ship", window=100, overlap=40, job=job, **options)


def main(job, out, seconds):
    """Search, and write the layer when the job is complete."""
    engine = helpers.Oracle({"ship": SHIPS})
    answer = engine.answer

    def slowly(request):
        time.sleep(float(seconds))
        text = answer(request)
        sys.stdout.write(f"{engine.asked[-1][0]}\n")
        sys.stdout.flush()
        return text

    engine.answer = slowly
    finding = search(engine, job)
    for _ in finding:
        pass
    if finding.complete:
        finding.save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
