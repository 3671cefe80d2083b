"""An engine that needs no model: what it writes is chosen by words of the question."""

import threading
import time
from dataclasses import dataclass, field

from geochat.checkpoints import Settings
from geochat.engines import Chunk, GenerationSettings, Usage, complete, one_by_one
from geochat.errors import GeoChatError

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
    "[refer]": "<p>it</p> {<25><25><75><50>|<90>}",
    "[identify]": "an airplane",
    "[grounding]": PLANES,
    "Classify": "airport",
    "short": "yes",
}


@dataclass
class ScriptedEngine:
    """Writes six characters at a time; `pause` seconds between."""

    settings: Settings = field(default_factory=lambda: Settings("scripted", ground_resolution=(0.15, 0.6)))
    pause: float = 0.004
    name: str = "scripted"
    sha256: str = "0" * 64
    image_size: int = 504
    requests: list = field(default_factory=list)
    written: int = 0
    running: int = 0
    most_running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stream(self, request, cancel=None):
        self.requests.append(request)
        prompt = request.messages[-1].text
        if "too long" in prompt:
            raise GeoChatError("the conversation is too long for the model; clear it")
        return self._write(prompt, cancel or threading.Event())

    def _write(self, prompt, cancel):
        text = next((answer for word, answer in ANSWERS.items() if word in prompt), PLANES)
        pause = self.pause * 40 if "slow" in prompt else self.pause
        with self.lock:
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            if "explode" in prompt:
                yield Chunk("Well, ")
                raise RuntimeError("CUDA error: out of memory at /secret/place")
            for start in range(0, len(text), 6):
                if cancel.is_set():
                    yield Chunk("", "cancelled", Usage(7, start))
                    return
                time.sleep(pause)
                self.written += 1
                yield Chunk(text[start : start + 6])
            yield Chunk("", "stop", Usage(7, len(text)))
        finally:
            with self.lock:
                self.running -= 1

    def generate(self, request):
        return complete(self.stream(request))

    def stream_batch(self, requests, cancels=()):
        return one_by_one(self, requests, cancels)


__all__ = ["ANSWERS", "PLANES", "GenerationSettings", "ScriptedEngine"]
