"""A command line whose model says what the environment's ANSWERS holds, for tests that need a process of their own.

An answer that ends in "..." is never finished: it waits to be cancelled.
"""

import json
import os
import sys
import threading

from geochat.chat import GeoChat
from geochat.cli import main, options
from geochat.engines import Chunk, Usage
from geochat.models import ModelInfo, Settings


class Engine:
    info = ModelInfo(Settings("scripted"), 504, 14)

    def __init__(self, answers):
        self.answers = list(answers)
        self.cancelled = threading.Event()

    def stream(self, request):
        text = self.answers.pop(0)
        yield Chunk(text)
        if text.endswith("..."):
            assert self.cancelled.wait(60)
        yield Chunk("", "cancelled" if text.endswith("...") else "stop", Usage(len(request.messages), 1))

    def cancel(self, _request_id):
        self.cancelled.set()


if __name__ == "__main__":
    engine = Engine(json.loads(os.environ["ANSWERS"]))
    options.load_model = lambda _args: GeoChat(engine)
    sys.exit(main())
