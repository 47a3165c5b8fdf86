#!/usr/bin/env python3
"""Does what its function's name says (fc_testkit::conformance::runtime::Behaviour)."""
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = os.environ["FC_FUNCTION_NAME"]
STATE = {"requests": 0, "present": 0, "initialized": False}
CHANGED = threading.Condition()

if BEHAVIOUR == "NeverStarts":
    sys.exit("not today")


class Function(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_):
        pass

    def pieces(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left:
                piece = self.rfile.read1(left)
                left -= len(piece)
                yield piece

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-method", self.command)
        self.send_header("x-path", self.path)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for piece in self.pieces():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def handle_any(self):
        if self.headers.get("x-fc-control-path") == "/initialize":
            list(self.pieces())
            STATE["initialized"] = BEHAVIOUR != "FailInitializer"
            return self.answer(b"", 200 if STATE["initialized"] else 500)
        if BEHAVIOUR == "Stream":
            return self.stream()
        body = b"".join(self.pieces())
        with CHANGED:
            STATE["requests"] += 1
            count = STATE["requests"]
        if BEHAVIOUR == "Sleep":
            time.sleep(int(body) / 1000)
        elif BEHAVIOUR == "Meet":
            with CHANGED:
                STATE["present"] += 1
                CHANGED.notify_all()
                CHANGED.wait_for(lambda: STATE["present"] >= int(body))
        elif BEHAVIOUR == "Count":
            body = str(count).encode()
        elif BEHAVIOUR == "Print":
            print(body.decode(), flush=True)
        elif BEHAVIOUR == "Crash":
            os._exit(3)
        elif BEHAVIOUR in ("Initializer", "FailInitializer"):
            body = b"yes" if STATE["initialized"] else b"no"
        self.answer(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # Not HTTPServer's, which looks its own name up.
        import socketserver

        socketserver.TCPServer.server_bind(self)


Server(("127.0.0.1", int(os.environ["FC_CUSTOM_LISTEN_PORT"])), Function).serve_forever()
