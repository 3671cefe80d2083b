"""An engine that needs no model: what it answers depends on the image and the question alone. Run as a program, it is
one process of a run: `python answering.py OUT IMAGES QUESTIONS PAUSE ASKED`."""

import hashlib
import sys
import time
from pathlib import Path

from geochat.dialects import GEOCHAT
from geochat.engines import Chunk, Usage, one_by_one
from geochat.engines.protocol import complete
from geochat.models import ModelInfo, Settings
from geochat_eval.benchmarks import Sources
from geochat_eval.runs import ChatPredictor, Run, RunSettings

SETTINGS = Settings(name="hash")


class HashEngine:
    def __init__(self, pause=0.0, asked=None, sha256="0" * 64, settings=SETTINGS):
        self.info = ModelInfo(settings, 504, stated_sha256=sha256)
        self.pause = pause
        self.asked = asked
        self.requests = 0

    def stream(self, request):
        self.requests += 1
        words = request.messages[-1].text
        if "break" in words:
            raise RuntimeError("out of memory")
        if self.asked:
            with self.asked.open("a") as file:
                file.write(words.split("?")[0] + "\n")
        time.sleep(self.pause)
        pixels = b"".join(image.tobytes() for image in request.images)
        yield Chunk(hashlib.sha256(pixels + words.encode()).hexdigest()[:8], "stop", Usage(1, 1))

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        return one_by_one(self, requests)

    def cancel(self, request_id):
        pass


if __name__ == "__main__":
    out, images, questions, pause, asked = sys.argv[1:]
    run = Run(Path(out), RunSettings("rsvqa-lr", Sources(Path(images), Path(questions), dialect=GEOCHAT)))
    for _ in run.answer(ChatPredictor(HashEngine(float(pause), Path(asked)))):
        pass
