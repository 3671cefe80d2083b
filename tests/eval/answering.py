"""An engine that needs no model: what it answers depends on the image and the question alone. Run as a program, it is
one process of a run: `python answering.py OUT IMAGES QUESTIONS PAUSE ASKED`."""

import hashlib
import sys
import time
from pathlib import Path

from geochat.engines import Chunk, Usage, one_by_one
from geochat.engines.protocol import complete
from geochat_eval.benchmarks import Sources
from geochat_eval.running import ChatAnswerer, Run, RunSettings


class HashEngine:
    name = "hash"
    sha256 = "0" * 64
    image_size = 504

    def __init__(self, pause=0.0, asked=None):
        self.pause = pause
        self.asked = asked
        self.requests = 0

    def stream(self, request, cancel=None):
        self.requests += 1
        words = request.messages[-1].text
        if "break" in words:
            raise RuntimeError("out of memory")
        if self.asked:
            with self.asked.open("a") as file:
                file.write(words.split("?")[0] + "\n")
        time.sleep(self.pause)
        pixels = request.image.tobytes() if request.image else b""
        yield Chunk(hashlib.sha256(pixels + words.encode()).hexdigest()[:8], "stop", Usage(1, 1))

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests, cancels=()):
        return one_by_one(self, requests, cancels)


if __name__ == "__main__":
    out, images, questions, pause, asked = sys.argv[1:]
    run = Run(Path(out), RunSettings("rsvqa-lr", Sources(Path(images), Path(questions))))
    for _ in run.answer(ChatAnswerer(HashEngine(float(pause), Path(asked)))):
        pass
