"""An engine that needs no model: what it writes is chosen by words of the question; and searches that it answers."""

import asyncio
import math
import re
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from geochat import GeoChat
from geochat.engines import ChoiceScore, Chunk, GenerationSettings, TokenScore, Usage, complete, one_by_one
from geochat.errors import GeoChatError
from geochat.models import Capabilities, ModelInfo, Settings
from geochat_serve.answering import AnswerService
from geochat_serve.jobs import FindSpec, Jobs
from geochat_serve.queue import FairQueue

SEARCH = FindSpec(("it",), window=200, overlap=0.0)  # six windows of wide.png, a box in each

PLANES = (
    "There are <p>two airplanes</p> {<10><20><30><40>|<30>}<delim>{<50><60><80><75>|<90>}"
    " beside <p>a hangar</p> {<60><10><90><30>|<90>} on the apron."
)
ANSWERS = {  # the first word found in the prompt decides
    "script": (
        '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">'
        " <p><b>bold</b></p> {<10><10><20><20>|<90>}"
    ),
    "malformed": "A ship {<1><2> and <p>a pier</p> {<10><10><40><40>|<45>} end",
    "slow": " ".join(f"word{number}" for number in range(400)),
    "twice": "<p>a ship</p> {<10><10><30><30>|<90>}<delim>{<11><10><31><30>|<90>}<delim>{<60><60><80><80>|<90>}",
    "outside": "<p>a pier</p> {<80><40><120><60>|<90>}",
    "nothing": "none",
    "scored": "<p>a ship</p> {<10><10><30><30>|<90>}<delim>{<60><60><80><80>|<90>}"
    " <p>a pier</p> {<5><50><25><90>|<90>}",
    "hundred": "<p>ships</p> "
    + "<delim>".join(f"{{<{x}><{y}><{x + 5}><{y + 5}>|<90>}}" for y in range(0, 100, 10) for x in range(0, 100, 10)),
    "[refer]": "<p>it</p> {<25><25><75><50>|<90>}",
    "[identify]": "an airplane",
    "[grounding]": PLANES,
    "Classify": "airport",
    "short": "yes",
}


@dataclass
class ScriptedEngine:
    """Writes six characters at a time, `pause` seconds between; of answers offered, its own is the likeliest."""

    settings: Settings = field(default_factory=lambda: Settings("scripted", ground_resolution=(0.15, 0.6)))
    pause: float = 0.004
    name: str = "scripted"
    requests: list = field(default_factory=list)
    cancelled: set = field(default_factory=set)
    written: int = 0
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def info(self):
        settings = replace(self.settings, name=self.name)
        return ModelInfo(settings, 504, 14, capabilities=Capabilities(choices=True), stated_sha256="0" * 64)

    def stream(self, request):
        self.requests.append(request)
        prompt = request.messages[-1].text
        if "too long" in prompt:
            raise GeoChatError("the conversation is too long for the model; clear it")
        return self._write(request)

    def cancel(self, request_id):
        self.cancelled.add(request_id)

    def _write(self, request):
        prompt = request.messages[-1].text
        text = next((answer for word, answer in ANSWERS.items() if word in prompt), PLANES)
        choices = _scores(text, request.choices)
        text = choices[0].text if choices else text
        pause = self.pause * 40 if "slow" in prompt else self.pause
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            if "explode" in prompt:
                yield Chunk("Well, ")
                raise RuntimeError("CUDA error: out of memory at /secret/place")
            if choices:  # an answer that was scored comes as one piece
                time.sleep(pause)
                yield Chunk(text, "stop", Usage(7, len(text)), (), choices)
                return
            for start in range(0, len(text), 6):
                if request.id in self.cancelled:
                    yield Chunk("", "cancelled", Usage(7, start))
                    return
                time.sleep(pause)
                self.written += 1
                yield Chunk(text[start : start + 6])
            yield Chunk("", "stop", Usage(7, len(text)), _box_scores(text) if "scored" in prompt else (), choices)
        finally:
            with self.lock:
                self.running -= 1

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests):
        return one_by_one(self, requests)


def _box_scores(text):
    """A token for each box, less likely from one to the next: 0.9, 0.5, 0.1."""
    boxes = re.finditer(r"{[^}]*}", text)
    return tuple(TokenScore(*box.span(), math.log(0.9 - 0.4 * place)) for place, box in enumerate(boxes))


def _scores(text, choices):
    """The answer first where it is among the choices, then the others as they were named, each half as likely."""
    ranked = sorted(choices, key=lambda choice: choice != text)
    weights = [0.5**place for place in range(len(ranked))]
    return tuple(
        ChoiceScore(choice, math.log(weight), weight / sum(weights))
        for choice, weight in zip(ranked, weights, strict=True)
    )


@asynccontextmanager
async def job_service(storage, slots=2, **engine):
    """The jobs of a server with its own scripted engine, and its answers."""
    answers = AnswerService(GeoChat(ScriptedEngine(**engine)), FairQueue(slots, 8))
    jobs = Jobs(answers, storage)
    try:
        yield jobs, answers
    finally:
        await asyncio.to_thread(jobs.close)
        answers.close()


async def until(condition):
    """Wait until a condition holds."""
    while not condition():
        await asyncio.sleep(0.01)


__all__ = ["ANSWERS", "PLANES", "SEARCH", "GenerationSettings", "ScriptedEngine", "job_service", "until"]
