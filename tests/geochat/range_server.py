"""A server of a folder that answers range requests and counts; run as a process, it prints its port.

A process of its own: rasterio may hold Python's global lock while GDAL waits for a reply.

Paths begin with how: /plain, /whole (no ranges), /forbidden, /moved. /asked gives the requests so far and the bytes
sent as JSON, and forgets them.
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
PART = 65_536
asked, sent = [], []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def answer(self, *, with_body):
        path = self.path.split("?")[0]
        if path == "/asked":
            told = json.dumps({"asked": asked, "sent": sum(sent)}).encode()
            asked.clear()
            sent.clear()
            return self.reply(200, told)
        asked.append(path)
        how, _, name = path.lstrip("/").partition("/")
        file = FOLDER / name
        if how == "forbidden":
            return self.reply(403)
        if how == "moved":
            return self.reply(302, Location="http://example.org/x.json")
        if not file.is_file():
            return self.reply(404)
        content = file.read_bytes()
        ranges = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if how == "whole" or ranges is None:
            return self.reply(200, content, with_body=with_body)
        first, last = int(ranges[1]), min(int(ranges[2]), len(content) - 1)
        headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "Accept-Ranges": "bytes"}
        return self.reply(206, content[first : last + 1], with_body=with_body, **headers)

    def reply(self, status, content=b"", *, with_body=True, **headers):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        for start in range(0, len(content) if with_body else 0, PART):
            part = content[start : start + PART]
            try:
                self.wfile.write(part)
            except OSError:  # the client has enough
                self.close_connection = True
                return
            if self.path != "/asked":
                sent.append(len(part))

    def log_message(self, *_):
        """Nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
sys.stdout.write(f"{server.server_port}\n")
sys.stdout.flush()
server.serve_forever()
