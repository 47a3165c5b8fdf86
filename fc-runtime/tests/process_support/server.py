#!/usr/bin/env python3
"""A function of the custom runtime contract; what it does is said by the path or the event."""
import http.server, json, os, signal, socket, sys, threading, time

STARTED = time.time()
accepted = 0
here = os.environ["FC_FUNC_CODE_PATH"]


def note(name, text):
    with open(os.path.join(here, name), "a") as file:
        file.write(text + "\n")


def alone(tree):
    """A process that leaves its parent and group behind and is deaf to SIGTERM."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(tree):
        if os.fork() == 0:
            break
    note("pids", str(os.getpid()))
    while True:
        time.sleep(100)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        global accepted
        accepted += 1
        self.served = 0

    def log_message(self, *_):
        pass

    def chunks(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while True:
                size = int(self.rfile.readline().strip(), 16)
                data = self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return
                yield data
        else:
            length = int(self.headers.get("Content-Length") or 0)
            if length:
                yield self.rfile.read(length)

    def body(self):
        return b"".join(self.chunks())

    def answer(self, body=b"", status=200, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin_chunks(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def seen(self):
        return json.dumps({
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": self.body().decode(),
            "pid": os.getpid(),
            "served": self.served,
            "accepted": accepted,
        }).encode()

    def any(self):
        self.served += 1
        control = self.headers.get("x-fc-control-path")
        what = self.path
        if control == "/invoke":
            what = None
            event = self.body().decode()
            if event.startswith("/"):
                what = event
            self.event = event
        else:
            self.event = ""
        name = (what or "").split("?")[0].strip("/").replace("-", "_")
        note("requests", f"{self.command} {self.path} {control} {name}")
        getattr(self, "do_" + name, self.do_default)()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_TRACE = any

    def do_default(self):
        if self.headers.get("x-fc-control-path") == "/invoke":
            self.answer(json.dumps({
                "event": self.event, "path": self.path, "method": self.command,
                "headers": [[n.lower(), v] for n, v in self.headers.items()],
            }).encode(), status=400, headers=[("x-own", "1")])
        else:
            self.answer(self.seen(), headers=[("x-own", "1"), ("x-own", "2")])

    def do_environment(self):
        import resource
        self.answer(json.dumps({
            "environment": dict(os.environ), "cwd": os.getcwd(),
            "open_files": resource.getrlimit(resource.RLIMIT_NOFILE),
            "group": os.getpgid(0), "pid": os.getpid(), "argv": sys.argv[1:],
            "stdin": sys.stdin.read(),
        }).encode())

    def do_fail(self):
        self.answer(b"no", 500, [("x-fc-status", "404"), ("Connection", "x-hop"), ("x-hop", "1")])

    def do_moved(self):
        self.answer(b"", 302, [("x-fc-status", "200"), ("Location", "/there")])

    def do_duplex(self):
        self.begin_chunks()
        for data in self.chunks():
            self.chunk(b"got " + data)
        self.chunk(b"")

    def do_large(self):
        self.begin_chunks()
        for _ in range(300):
            self.chunk(b"x" * 10_000)
        self.chunk(b"")

    def do_endless(self):
        self.begin_chunks()
        try:
            while True:
                self.chunk(b"tick\n")
                time.sleep(0.01)
        except OSError:
            note("closed", "by the caller")
            self.close_connection = True

    def do_drop(self):
        self.close_connection = True

    def do_drop_once(self):
        path = os.path.join(here, "dropped")
        if os.path.exists(path):
            self.answer(b"at last")
        else:
            note("dropped", "1")
            self.close_connection = True

    def do_close_after(self):
        self.answer(b"bye")
        self.close_connection = True

    def do_deafen(self):
        note("deaf", str(os.getpid()))
        # Closing alone leaves the accepting thread, and with it the listener, where they are.
        self.server.socket.shutdown(socket.SHUT_RDWR)
        self.server.socket.close()
        self.answer(b"what?", headers=[("Connection", "close")])
        self.close_connection = True

    def do_half(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"0123456789")
        self.close_connection = True

    def do_half_crash(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"0123456789")
        time.sleep(0.05)
        os._exit(3)

    def do_garbage(self):
        self.wfile.write(b"this is no HTTP at all\r\n\r\n")
        self.close_connection = True

    def do_raw(self):
        """The request's body is the answer, byte for byte."""
        self.wfile.write(self.body())
        self.close_connection = "close" in self.path

    def do_upgrade(self):
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")

    def do_large_head(self):
        self.answer(b"", headers=[("x-large", "x" * 1000)] * 90)

    def do_many_heads(self):
        self.answer(b"", headers=[("x-many", "x")] * 150)

    def do_exit(self):
        print("leaving now", flush=True)
        os._exit(7)

    def do_segfault(self):
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)

    def do_kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def do_print(self):
        request = self.headers["x-fc-request-id"]
        print("FC Invoke Start RequestId: " + request)
        print("to stdout of " + request, flush=True)
        print("to stderr of " + request, file=sys.stderr, flush=True)
        print("FC Invoke End RequestId: " + request, flush=True)
        self.answer(b"printed")

    def do_flood(self):
        sys.stdout.write("y" * 100_000 + "\n" + "short\n" * 20_000)
        sys.stdout.flush()
        self.answer(b"flooded")

    def do_wait(self):
        time.sleep(0.3)
        self.answer(str(threading.active_count()).encode())

    def do_hang(self):
        time.sleep(60)

    def do_daemon(self):
        alone(3)
        for _ in range(200):
            try:
                with open(os.path.join(here, "pids")) as file:
                    if len(file.readlines()) >= 4:
                        break
            except OSError:
                pass
            time.sleep(0.01)
        self.answer(b"detached")

    def do_initialize(self):
        if slow := os.environ.get("SLOW_INITIALIZER"):
            time.sleep(float(slow))
            note("requests", "initialized")
        if os.environ.get("BAD_INITIALIZER"):
            self.answer(b"cannot initialize", 500)
        else:
            self.answer(b"")

    def do_pre_stop(self):
        self.answer(b"")

    def do_ill(self):
        note("ill", "1")
        self.answer(b"")

    def do_health(self):
        ill = os.path.exists(os.path.join(here, "ill"))
        self.answer(b"", 500 if ill else 200)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    allow_reuse_address = False


if __name__ == "__main__":
    print("up", flush=True)
    port = int(os.environ["FC_CUSTOM_LISTEN_PORT"])
    try:
        Server(("0.0.0.0", port), Handler).serve_forever()
    except (OSError, ValueError):
        # Deaf, not dead.
        time.sleep(100)
