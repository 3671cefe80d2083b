"""A command line whose model says what the environment's ANSWERS holds, for tests that need a process of their own.

An answer that ends in "..." is never finished: it waits to be cancelled.
"""

import json
import os
import sys
import threading
from types import SimpleNamespace

from geochat.assistant import GeoChat
from geochat.cli import main, output
from geochat.engines import Chunk, Usage
from geochat.regions import AngleConvention


class Engine:
    name = "scripted"
    sha256 = None
    image_size = 504
    settings = SimpleNamespace(convention=AngleConvention(), fit="pad")

    def __init__(self, answers):
        self.answers = list(answers)

    def stream(self, request, cancel=None):
        text = self.answers.pop(0)
        yield Chunk(text)
        if text.endswith("..."):
            assert (cancel or threading.Event()).wait(60)
        yield Chunk("", "cancelled" if text.endswith("...") else "stop", Usage(len(request.messages), 1))


if __name__ == "__main__":
    engine = Engine(json.loads(os.environ["ANSWERS"]))
    output.load = lambda _args: GeoChat(engine)
    sys.exit(main())
