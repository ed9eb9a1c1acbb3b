#!/usr/bin/env python3
"""Measures what a hostile review broke, on the real program: `ops/promises/measure.py --program target/release/claviger`.

Each figure has its goal, and the program ends with 1 if one is missed. Python 3 alone; Linux, because memory is read from /proc. Takes about a minute.
The server, an upstream that answers or hangs, and the attackers run on this machine; figures of memory are what the server's resident set grew by.
"""

import argparse
import base64
import concurrent.futures
import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

MIB = 1024 * 1024
PASSWORD = "a long password for measuring"


class Server:
    """`claviger serve` on a new embedded store."""

    def __init__(self, program, upstream, **settings):
        self.dir = tempfile.TemporaryDirectory()
        env = {
            "PATH": os.environ["PATH"],
            "CLAVIGER_LOG": "error",
            "CLAVIGER_REGISTRATION": "open",
            # Sign-ins that succeed are what the race is about: they have no limit here.
            "CLAVIGER_SIGN_INS_PER_MINUTE": "0",
            # The attackers come from addresses of their own.
            "CLAVIGER_TRUSTED_PROXIES": "127.0.0.1",
            "CLAVIGER_ANTHROPIC_BASE_URL": upstream,
            "CLAVIGER_DRAIN_MS": "500",
            **settings,
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.metrics = free.getsockname()[1]
        env["CLAVIGER_METRICS_LISTEN"] = f"127.0.0.1:{self.metrics}"
        command = [program, "serve", "--listen", "127.0.0.1:0", "--data-dir", f"{self.dir.name}/data"]
        self.process = subprocess.Popen(command, env=env, cwd="/", stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if not match:
            raise SystemExit(f"the server did not start: {line!r}")
        self.port = int(match[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()

    def rss(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def held(self, kind):
        """The bytes that the server says it holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=30)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return int(re.search(rf'claviger_held_bytes\{{kind="{kind}"\}} (\d+)', text)[1])

    def post(self, query, variables=None, token=None, peer="192.0.2.1"):
        """Returns the status, the answer and its size."""
        headers = {"content-type": "application/json", "x-forwarded-for": peer}
        if token:
            headers["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", "/graphql", json.dumps({"query": query, "variables": variables or {}}), headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(body), len(body)

    def data(self, query, variables=None, token=None, peer="192.0.2.1"):
        status, answer, _ = self.post(query, variables, token, peer)
        if answer.get("errors") or not answer.get("data"):
            raise SystemExit(f"the measurement is refused with {status}: {json.dumps(answer)[:600]}")
        return answer["data"]

    def register(self, name, peer):
        query = "mutation($i: RegisterInput!) { register(input: $i) { accessToken userErrors { message } } }"
        given = {"username": name, "email": f"{name}@example.org", "password": PASSWORD}
        token = self.data(query, {"i": given}, peer=peer)["register"]["accessToken"]
        query = "mutation($i: AddKeyInput!) { addKey(input: $i) { userErrors { message } } }"
        secret = f"sk-ant-api03-{name}-{'x' * 80}AA"
        self.data(query, {"i": {"name": "key", "secret": secret}}, token, peer)
        return token

    def start(self, token, task, peer):
        """Returns the run's id, or the refusal."""
        query = "mutation($i: StartOrchestrationInput!) { startOrchestration(input: $i) { orchestration { id } userErrors { code message } } }"
        pattern = {"sequential": {"task": task, "agents": [{"name": "one", "systemPrompt": "Answer."}]}}
        _, answer, _ = self.post(query, {"i": {"pattern": pattern}}, token, peer)
        payload = (answer.get("data") or {}).get("startOrchestration") or {}
        run = (payload.get("orchestration") or {}).get("id")
        return run, payload.get("userErrors") or answer.get("errors")


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers at once, or hangs where the prompt says so."""

    protocol_version = "HTTP/1.1"
    wake = threading.Event()

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        if "HANG" in body:
            self.wake.wait()
        usage = {"input_tokens": 3, "output_tokens": 1}
        message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "usage": usage}
        events = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "done"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ]
        text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Threads(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 2048


class Socket:
    """A `graphql-transport-ws` client, as small as can be."""

    def __init__(self, port, token):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /graphql HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: {key}\r\nsec-websocket-protocol: graphql-transport-ws\r\n\r\n".encode()
        )
        self.file = self.socket.makefile("rb")
        while self.file.readline().strip():
            pass
        self.send({"type": "connection_init", "payload": {"token": token}})
        self.read()

    def send(self, message):
        payload = json.dumps(message).encode()
        head = b"\x81" + (bytes([0x80 | 126]) + struct.pack(">H", len(payload)) if len(payload) < 65536 else bytes([0x80 | 127]) + struct.pack(">Q", len(payload)))
        # A mask of zeros leaves the bytes as they are.
        self.socket.sendall((head if len(payload) >= 126 else b"\x81" + bytes([0x80 | len(payload)])) + bytes(4) + payload)

    def read(self):
        """The next message; None once the server closes."""
        head = self.file.read(2)
        if len(head) < 2 or head[0] & 0x0F == 8:
            return None
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack(">H", self.file.read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self.file.read(8))[0]
        return json.loads(self.file.read(length) or b"null")


def settled(server):
    """The resident set once it no longer changes."""
    before = -1
    while abs((now := server.rss()) - before) > MIB // 4:
        before = now
        time.sleep(0.5)
    return now


def sign_ins(server):
    """120 anonymous sign-ins with names of 1 MB."""
    query = "mutation($i: LoginInput!) { login(input: $i) { accessToken userErrors { code } } }"

    def attempt(n):
        given = {"usernameOrEmail": f"{n:04}" + "x" * 1_000_000, "password": "wrong"}
        server.post(query, {"i": given}, peer=f"198.51.100.{n % 250}")

    # What requests cost while they are read, on each thread that reads some, isn't what their names
    # leave behind.
    for n in range(16):
        attempt(n)
    before = settled(server)
    for n in range(16, 136):
        attempt(n)
    return settled(server) - before


def subscriptions(server):
    """100 subscriptions with 0.8 MB of variables each on one socket. Returns the growth and how many were refused."""
    token = server.register("crowd", "203.0.113.1")
    talk = Socket(server.port, token)
    before = settled(server)
    query = "subscription($t: [String!]) { viewerEvents(types: $t) { cursor } }"
    refused = 0
    try:
        for n in range(100):
            kinds = [f"{n:04}-{m:06}-{'k' * 8}" for m in range(36_000)]
            talk.send({"id": str(n), "type": "subscribe", "payload": {"query": query, "variables": {"t": kinds}}})
        talk.socket.settimeout(3)
        while (message := talk.read()) is not None:
            refused += message.get("type") == "error"
    except (OSError, ValueError):
        pass
    grown = settled(server) - before
    talk.socket.close()
    return grown, refused


def documents(server):
    """20 subscriptions with the largest documents on each of 10 sockets. Returns the growth, what the server says it holds, and how many were refused."""
    token = server.register("reader", "203.0.113.4")
    before = settled(server)
    query = "subscription { viewerEvents { node { " + "id " * 2000 + "} } }"
    talks, refused = [], 0
    for _ in range(10):
        talk = Socket(server.port, token)
        talks.append(talk)
        for n in range(20):
            talk.send({"id": str(n), "type": "subscribe", "payload": {"query": query}})
        talk.send({"id": "last", "type": "subscribe", "payload": {"query": "{ __typename }"}})
        while (message := talk.read()).get("id") != "last":
            refused += message["type"] == "error"
    grown = settled(server) - before
    held = server.held("streams")
    for talk in talks:
        talk.socket.close()
    return grown, held, refused


def buffers(server):
    """20 sockets of a user, each after a message of 1 MB. Returns the growth."""
    token = server.register("talker", "203.0.113.5")
    talks = [Socket(server.port, token) for _ in range(20)]
    before = settled(server)
    for talk in talks:
        talk.send({"type": "ping", "payload": {"a": "x" * 1_000_000}})
        talk.read()
    grown = settled(server) - before
    for talk in talks:
        talk.socket.close()
    return grown


def bodies(server, peers, each):
    """Slow bodies: each announces 1 MiB and sends half of it. Returns the growth while they wait, and how many were refused."""
    before = settled(server)
    open_ones = []
    for peer in range(peers):
        for _ in range(each):
            slow = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            head = f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nx-forwarded-for: 198.51.100.{peer}\r\ncontent-type: application/json\r\ncontent-length: {MIB}\r\n\r\n"
            try:
                slow.sendall(head.encode() + b" " * (MIB // 2))
            except OSError:
                pass
            open_ones.append(slow)
    grown = max(server.rss() - before, 0)
    refused = 0
    for slow in open_ones:
        slow.settimeout(0.05)
        try:
            refused += slow.recv(12).startswith((b"HTTP/1.1 429", b"HTTP/1.1 503"))
        except OSError:
            pass
        slow.close()
    return grown, refused


def nodes(server):
    """A request of 7 KB that asks for 25 MB. Returns the bytes of the answer and its code."""
    token = server.register("nodes", "203.0.113.2")
    run, refusal = server.start(token, "t" * 250_000, "203.0.113.2")
    if run is None:
        raise SystemExit(f"a run with a task of 250 kB is refused: {refusal}")
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Orchestration { input } } }"
    _, answer, size = server.post(query, {"ids": [run] * 100}, token)
    codes = [error.get("extensions", {}).get("code") for error in answer.get("errors") or []]
    return size, codes[:1]


def fairness(server, attackers, each):
    """A user's run of one step while others' runs hang. Returns seconds and how many hang."""
    victim = server.register("victim", "203.0.113.3")
    hanging = 0
    for n in range(attackers):
        peer = f"203.0.113.{10 + n}"
        token = server.register(f"attacker{n}", peer)
        for _ in range(each):
            run, _ = server.start(token, "HANG", peer)
            if run is None:
                break
            hanging += 1
    began = time.monotonic()
    run, refusal = server.start(victim, "work", "203.0.113.3")
    if run is None:
        raise SystemExit(f"the victim's run is refused: {refusal}")
    query = "query($id: ID!) { orchestration(id: $id) { state } }"
    while time.monotonic() - began < 60:
        if server.data(query, {"id": run}, victim, "203.0.113.3")["orchestration"]["state"] == "COMPLETED":
            break
        time.sleep(0.01)
    return time.monotonic() - began, hanging


def passwords(server, rounds):
    """A password change against 8 racing sign-ins. Returns how many sessions of the old password survived."""
    peer = "203.0.113.200"
    token = server.register("owner", peer)
    login = "mutation($i: LoginInput!) { login(input: $i) { accessToken } }"
    change = "mutation($i: ChangePasswordInput!) { changePassword(input: $i) { accessToken userErrors { code message } } }"
    survivors, old = 0, PASSWORD
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for n in range(rounds):
            new = f"{PASSWORD} {n}"

            def thief(m, old=old, n=n):
                given = {"usernameOrEmail": "owner", "password": old}
                _, answer, _ = server.post(login, {"i": given}, peer=f"10.{n % 250}.{m}.1")
                return ((answer.get("data") or {}).get("login") or {}).get("accessToken")

            racing = [pool.submit(thief, m) for m in range(8)]
            given = {"currentPassword": old, "newPassword": new}
            answer = server.data(change, {"i": given}, token, peer)["changePassword"]
            if answer["userErrors"]:
                raise SystemExit(f"the owner's change is refused: {answer['userErrors']}")
            token = answer["accessToken"]
            for stolen in filter(None, (thief.result() for thief in racing)):
                _, answer, _ = server.post("{ viewer { id } }", token=stolen)
                survivors += bool((answer.get("data") or {}).get("viewer"))
            old = new
    return survivors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the `claviger` to measure, best a release build")
    parser.add_argument("--rounds", type=int, default=100, help="password changes (default: 100)")
    given = parser.parse_args()
    program = os.path.abspath(given.program)
    Upstream.wake.clear()
    upstream = Threads(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{upstream.server_address[1]}"
    missed = []

    def figure(name, value, good):
        print(f"{name}: {value}{'' if good else '  (MISSED)'}", flush=True)
        if not good:
            missed.append(name)

    with Server(program, url) as server:
        grown = sign_ins(server)
        figure("120 sign-ins with names of 1 MB, growth, goal below 8 MiB", f"{grown / MIB:.1f} MiB", grown < 8 * MIB)
        grown, refused = subscriptions(server)
        figure("100 subscriptions with 0.8 MB of variables on a socket, growth, goal below 16 MiB", f"{grown / MIB:.1f} MiB, {refused} refused", grown < 16 * MIB)
        grown, held, refused = documents(server)
        figure("200 subscriptions with the largest documents, growth, goal below 64 MiB", f"{grown / MIB:.1f} MiB, {held / MIB:.1f} MiB held, {refused} refused", grown < 64 * MIB)
        grown = buffers(server)
        figure("20 sockets after a message of 1 MB each, growth, goal below 8 MiB", f"{grown / MIB:.1f} MiB", grown < 8 * MIB)
        grown, refused = bodies(server, 8, 100)
        # What is held is at most 128 MiB; what the HTTP library and the sockets read ahead comes on top.
        figure("800 slow bodies of 8 addresses, growth, goal below 256 MiB", f"{grown / MIB:.1f} MiB, {refused} refused", grown < 256 * MIB)
        size, codes = nodes(server)
        figure("a request of 7 KB for 25 MB, goal refused", f"{size} bytes, {codes}", codes == ["LIMIT_EXCEEDED"])
    with Server(program, url) as server:
        took, hanging = fairness(server, 20, 50)
        figure("a run of one step while others' runs hang, goal below 1 s", f"{took:.3f} s beside {hanging}", took < 1 and hanging >= 1000)
    with Server(program, url) as server:
        survivors = passwords(server, given.rounds)
        figure(f"sessions that survive {given.rounds} password changes against 8 sign-ins, goal 0", survivors, survivors == 0)
    Upstream.wake.set()
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
