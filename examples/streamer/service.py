#!/usr/bin/env python3
"""A toy language model as an HTTP service: answers a prompt token by token, as server-sent events.

It stands for any inference server. Nothing in it knows of Tieline:

    python3 examples/streamer/service.py 8000
    curl -sN http://127.0.0.1:8000/generate -d 'tell me'

Behind `tieline receive llm --http http://127.0.0.1:8000/generate` it takes requests from a channel instead, one at a time,
and needs no port that others can reach. A client that goes away is noticed with the next token, and its work ends.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAUSE = 0.02


def answer(prompt):
    """The tokens of the answer to a prompt."""
    words = prompt.split() or ["nothing"]
    yield from ("You", " said")
    for word in words:
        yield f" {word}"
    yield "."


class Handler(BaseHTTPRequestHandler):
    # Chunks, so that the end of a response can be told from the death of the service.
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        prompt = self.read_body().decode()
        if not prompt.strip():
            self.send_error(422, "there is no prompt")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for token in answer(prompt):
                self.chunk(f"data: {token}\n\n")
                time.sleep(PAUSE)
            self.chunk("data: [DONE]\n\n")
            self.chunk("")
        except ConnectionError:
            print("the client went away", file=sys.stderr, flush=True)
            self.close_connection = True

    def read_body(self):
        """The request's body, with a length or in chunks."""
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *args):
        pass


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    print(f"listening on http://127.0.0.1:{server.server_port}/generate", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
