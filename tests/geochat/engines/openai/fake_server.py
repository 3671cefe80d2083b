"""An OpenAI-compatible server that answers from a function, and fails as it is told; and a proxy that cuts connections.

What it writes depends on the question alone, so that an answer which comes late, anew or in another order is known.
"""

import contextlib
import json
import math
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from geochat.engines import GenerationSettings, Request
from geochat.engines.openai import RemoteLimits
from geochat.prompts import Message

LIMITS = RemoteLimits(concurrency=8, timeout=0.3, attempts=40, backoff=0.002, longest_backoff=0.01)
STALL_S = 5.0  # longer than any client here waits


def about(question, *, images=(), choices=(), **generation):
    """A request of one question."""
    return Request((Message("user", question),), tuple(images), GenerationSettings(**generation), tuple(choices))


def echo(question):
    """`a b` is answered "a b and a box"."""
    return f"{question} and <p>a box</p> {{<1><2><30><40>|<5>}}."


def pieces_of(text):
    """What stands for the tokens: words with the space before them."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


class Fault:
    """What happens to one request.

    Attributes:
        status: Answer this instead.
        body, headers: Of that answer.
        cut: Close the connection after so many bytes of the events.
        stall: Say nothing more after so many bytes.
        reset: Close with RST.
        delay: Seconds before each event.
    """

    def __init__(self, status=200, body="", headers=None, *, cut=None, stall=None, reset=False, delay=0.0):
        self.status, self.body, self.headers = status, body, headers or {}
        self.cut, self.stall, self.reset, self.delay = cut, stall, reset, delay


class FakeServer:
    """`faults(number, body)` gives the `Fault` of a request for an answer, or None."""

    def __init__(self, answer=echo):
        self.answer = answer
        self.faults = lambda number, body: None
        self.models = [{"id": "fake", "object": "model", "max_model_len": 2048}]
        self.unknown_options = set()
        self.scores_prompts = False
        self.bodies, self.keys, self.times = [], [], []
        self.aborted = threading.Event()
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self):
        return self._http.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def questions(self):
        """The words of every request that asked for an answer, oldest first."""
        return [question_of(body) for body in self.bodies if body.get("stream")]

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def taken(self, body, key):
        with self._lock:
            self.bodies.append(body)
            self.keys.append(key)
            self.times.append(time.monotonic())
            return len(self.questions) - 1

    def busy(self, change):
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)


def question_of(body):
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        if self.fake.models is None or not self.path.endswith("/models"):
            self._reply(404, '{"detail": "Not Found"}')
        elif isinstance(self.fake.models, Fault):
            self._reply(self.fake.models.status, self.fake.models.body, self.fake.models.headers)
        else:
            self._reply(200, json.dumps({"object": "list", "data": self.fake.models}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        number = self.fake.taken(body, self.headers.get("authorization"))
        self.fake.busy(1)
        try:
            self._answer(number, body)
        except OSError:
            self.fake.aborted.set()
            self.close_connection = True
        finally:
            self.fake.busy(-1)

    def _answer(self, number, body):
        if unknown := self.fake.unknown_options & body.keys():
            message = f"Unrecognized request argument supplied: {min(unknown)}"
            self._reply(400, json.dumps({"error": {"message": message, "type": "invalid_request_error"}}))
            return
        if self.fake.models and body["model"] not in [model["id"] for model in self.fake.models]:
            self._reply(404, json.dumps({"error": {"message": f"The model `{body['model']}` does not exist."}}))
            return
        if not body.get("stream"):
            self._reply(200, json.dumps(self._whole(body)))
            return
        fault = self.fake.faults(number, body) or Fault()
        if fault.status != 200 or fault.headers:
            self._reply(fault.status, fault.body, fault.headers)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        if fault.body:
            self.wfile.write(fault.body.encode())
            return
        self._write(self._events(body), fault)

    def _write(self, events, fault):
        sent = 0
        for event in events:
            time.sleep(fault.delay)
            for limit in (fault.cut, fault.stall):
                if limit is not None and sent + len(event) > limit:
                    self.wfile.write(event[: limit - sent])
                    self.wfile.flush()
                    self._fail(fault)
                    return
            self.wfile.write(event)
            self.wfile.flush()
            sent += len(event)

    def _fail(self, fault):
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault.stall is not None:
            self.connection.settimeout(STALL_S)
            if self.connection.recv(1) == b"":  # the client has gone away
                self.fake.aborted.set()

    def _events(self, body):
        first, *rest = pieces_of(self.fake.answer(question_of(body)))
        pieces = [f" {first}", *rest]  # as models that write the space before their first word
        count = 0
        finish = "length" if len(pieces) >= body.get("max_tokens", 512) else "stop"
        yield b": a comment\r\n\r\n"
        yield self._event({"role": "assistant", "content": ""}, None, None, 0)
        for count, piece in enumerate(pieces[: body.get("max_tokens", 512)], 1):
            scores = [{"token": piece, "logprob": -count / 100, "bytes": list(piece.encode())}]
            yield self._event({"content": piece}, scores if body.get("logprobs") else None, None, count)
        scores = [{"token": "</s>", "logprob": -0.5, "bytes": list(b"</s>")}]
        yield self._event({"content": ""}, scores if body.get("logprobs") and finish == "stop" else None, finish, count)
        if body.get("stream_options"):
            usage = {"prompt_tokens": 7, "completion_tokens": count + (finish == "stop")}
            yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode()
        yield b"data: [DONE]\n\n"

    @staticmethod
    def _event(delta, scores, finish, count):
        logprobs = None if scores is None else {"content": scores}
        event = {
            "choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}],
            "usage": {"prompt_tokens": 7, "completion_tokens": count},
        }
        return f"data: {json.dumps(event)}\n\n".encode()

    def _whole(self, body):
        """An answer of one token, and the prompt's tokens where it is asked for and can."""
        scores = {"content": [{"token": "Hi", "logprob": -0.1}]} if body.get("logprobs") else None
        told = {"choices": [{"message": {"content": "Hi"}, "logprobs": scores, "finish_reason": "length"}]}
        if self.fake.scores_prompts and "prompt_logprobs" in body:
            texts = [piece for message in body["messages"] for piece in pieces_of(_words(message))]
            texts.append("</s>" if body["messages"][-1]["role"] == "assistant" else "assistant:")
            told["prompt_logprobs"] = [None, *map(_scored, texts)]
        return told

    def _reply(self, status, text, headers=None):
        self.send_response(status)
        for name, value in ({"content-type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        data = text.encode()
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _words(message):
    return f"{message['role']}: {question_of({'messages': [message]})}"


def _scored(text):
    """A token whose probability is that of its length."""
    return {str(sum(text.encode()) * 1000 + len(text)): {"logprob": -math.sqrt(len(text)), "decoded_token": text}}


class CuttingProxy:
    """Passes bytes on to a port, and cuts every connection `limits` says after so many bytes of the answer."""

    def __init__(self, port, limits):
        self._port, self._limits = port, limits
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def close(self):
        self._socket.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            limit = self._limits(self.connections)
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self._port))
            threading.Thread(target=_pump, args=(client, server, None), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client, limit), daemon=True).start()


def _pump(source, target, limit):
    sent = 0
    try:
        while data := source.recv(4096):
            if limit is not None and sent + len(data) > limit:
                target.sendall(data[: limit - sent])
                break
            target.sendall(data)
            sent += len(data)
    except OSError:
        pass
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
