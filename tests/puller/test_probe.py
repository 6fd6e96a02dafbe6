"""Looking at the gateway, over real sockets and with real processes: whatever it does, a look ends in time with a verdict."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.config import command_environment
from shared.errors import ConfigError
from shared.puller.probe import Listed, Probe, Sighting, check_probe, make_probe
from shared.puller.probe_command import CommandProbe, secrets_among
from shared.puller.probe_url import UrlProbe
from shared.puller.sighting import MAX_ANSWER_BYTES
from tests.tls import self_signed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

GOOD = b'{"ok":true,"skills":[{"id":"a","name":"A"}]}'
SEEN = Sighting(healthy=True, skills=(Listed(id="a", name="A"),))
SHORT_SECONDS = 0.4
SLACK_SECONDS = 5.0


def is_soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + SLACK_SECONDS
    while not holds() and time.monotonic() < until:
        threading.Event().wait(0.02)
    return holds()


def timed_look(probe: Probe) -> tuple[Sighting, float]:
    started = time.monotonic()
    found = probe.look()
    return found, time.monotonic() - started


# URLs

Talk = Callable[[socket.socket, threading.Event], object]


class Listener:
    """A server on this machine that treats every connection as one function says, once the request's head has come."""

    def __init__(self, talk: Talk, context: ssl.SSLContext | None = None, *, listens: bool = True) -> None:
        self._talk = talk
        self._context = context
        self._over = threading.Event()
        self.heads: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        if listens:
            self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}/health?check=skills"

    def _accept(self) -> None:
        while not self._over.is_set():
            with suppress(OSError):
                connection, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            stream = self._context.wrap_socket(connection, server_side=True) if self._context else connection
            with stream:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += stream.recv(65536) or b"\r\n\r\n"
                self.heads.append(head)
                self._talk(stream, self._over)

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()


@contextmanager
def listening(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[Listener]:
    server = Listener(talk, context)
    try:
        yield server
    finally:
        server.close()


def answer(status: str, body: bytes, *headers: str, length: int | None = None) -> Talk:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return lambda stream, _: stream.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def endless(stream: socket.socket, over: threading.Event) -> None:
    stream.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"a":"')
    while not over.is_set():
        stream.sendall(b"x" * 65536)


def hanging(_: socket.socket, over: threading.Event) -> None:
    over.wait()


def dripping(start: bytes, drop: bytes) -> Talk:
    def talk(stream: socket.socket, over: threading.Event) -> None:
        stream.sendall(start)
        while not over.wait(0.02):
            stream.sendall(drop)

    return talk


HTML = b"<!doctype html><html><body>moltbot</body></html>"
ANSWERS: dict[str, tuple[Talk, str]] = {
    "HTML": (answer("200 OK", HTML, "Content-Type: text/html"), "gateway_not_json"),
    "HTML that says it is JSON": (answer("200 OK", HTML, "Content-Type: application/json"), "gateway_not_json"),
    "no content": (answer("204 No Content", b""), "gateway_not_json"),
    "a failure": (answer("500 Internal Server Error", GOOD), "gateway_status"),
    "not ready": (answer("503 Service Unavailable", GOOD), "gateway_status"),
    "who are you": (answer("401 Unauthorized", GOOD), "gateway_status"),
    "elsewhere": (answer("302 Found", GOOD, "Location: /healthz"), "gateway_status"),
    "not well": (answer("200 OK", b'{"ok":false}'), "gateway_not_ok"),
    "a key twice": (answer("200 OK", b'{"ok":false,"ok":true}'), "gateway_not_json"),
    "deep": (answer("200 OK", b'{"a":' + b"[" * 100_000), "gateway_not_json"),
    "huge": (answer("200 OK", b"x" * (MAX_ANSWER_BYTES + 1)), "gateway_too_large"),
    "endless": (endless, "gateway_too_large"),
    "packed": (answer("200 OK", GOOD, "Content-Encoding: gzip"), "gateway_not_json"),
    "cut off": (answer("200 OK", GOOD, length=len(GOOD) + 1), "gateway_unreachable"),
    "no HTTP": (lambda stream, _: stream.sendall(b"\x00\xff\x00" * 100), "gateway_unreachable"),
    "a head without end": (
        lambda stream, _: stream.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000),
        "gateway_unreachable",
    ),
    "nothing": (lambda *_: None, "gateway_unreachable"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_proves_nothing_is_told_by_its_code(kind: str) -> None:
    talk, code = ANSWERS[kind]
    with listening(talk) as server:
        found = UrlProbe(server.url).look()
    assert (found.healthy, found.skills, found.code) == (False, None, code)
    assert found.detail
    assert "127.0.0.1" not in found.detail


def test_a_gateway_that_answers_is_seen_at_every_look() -> None:
    with listening(answer("200 OK", GOOD)) as server:
        probe = make_probe(server.url)
        assert [probe.look(), probe.look()] == [SEEN, SEEN]
        assert server.heads[0].startswith(b"GET /health?check=skills HTTP/1.1\r\n")


def test_a_redirect_is_not_followed() -> None:
    with (
        listening(answer("200 OK", GOOD)) as aim,
        listening(answer("307 Temporary", b"", f"Location: {aim.url}")) as server,
    ):
        assert UrlProbe(server.url).look().code == "gateway_status"
        assert aim.heads == []


SLOW: dict[str, Talk] = {
    "says nothing": hanging,
    "drips its head": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "drips its body": dripping(b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "says that it goes on": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "stops half way": lambda stream, over: (stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n{"), over.wait()),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_slow_gateway_is_left_in_time_and_nothing_of_the_look_stays(kind: str) -> None:
    with listening(SLOW[kind]) as server:
        found, took = timed_look(UrlProbe(server.url, seconds=SHORT_SECONDS))
        assert found.code == "gateway_timeout"
        assert took < SHORT_SECONDS + 1.0
        assert is_soon(lambda: "probe" not in {thread.name for thread in threading.enumerate()})


def test_tls_is_spoken_with_whom_the_environment_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, chain = self_signed(tmp_path)
    with listening(answer("200 OK", GOOD), context) as server:
        found = UrlProbe(server.url).look()
        assert found.code == "gateway_unreachable"
        assert "CERTIFICATE_VERIFY_FAILED" in found.detail
        monkeypatch.setenv("SSL_CERT_FILE", str(chain))
        assert UrlProbe(server.url).look() == SEEN


def test_a_slow_gateway_is_left_in_time_over_tls_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, chain = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    with listening(SLOW["drips its head"], context) as server:
        found, took = timed_look(UrlProbe(server.url, seconds=SHORT_SECONDS))
        assert found.code == "gateway_timeout"
        assert took < SHORT_SECONDS + 1.0
        assert is_soon(lambda: "probe" not in {thread.name for thread in threading.enumerate()})


def test_a_port_where_nobody_listens_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found, took = timed_look(make_probe(f"http://127.0.0.1:{port}/"))
    assert (found.code, found.detail) == ("gateway_unreachable", "ConnectError: Connection refused")
    assert took < SLACK_SECONDS


def test_a_gateway_that_comes_back_is_seen_again() -> None:
    answers = [answer("503 Service Unavailable", b""), answer("200 OK", GOOD)]

    def talk(stream: socket.socket, over: threading.Event) -> None:
        answers.pop(0)(stream, over)

    with listening(talk) as server:
        probe = UrlProbe(server.url)
        assert [probe.look().healthy, probe.look().healthy] == [False, True]


def test_a_look_ends_early_when_the_process_is_to_end() -> None:
    stop = threading.Event()
    with listening(hanging) as server:
        timer = threading.Timer(0.1, stop.set)
        timer.start()
        found, took = timed_look(make_probe(server.url, stopping=stop.is_set))
        timer.join()
    assert (found.healthy, found.code) == (False, "gateway_look_stopped")
    assert took < 2.0


def test_neither_proxies_nor_cookies_come_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with listening(answer("200 OK", GOOD, "Set-Cookie: a=b; Path=/")) as server:
        probe = UrlProbe(server.url)
        assert [probe.look(), probe.look()] == [SEEN, SEEN]
        assert not [head for head in server.heads if b"ookie" in head]


def test_a_password_is_sent_and_never_told() -> None:
    with listening(answer("403 Forbidden", b"")) as server:
        found = make_probe(server.url.replace("http://", "http://us:pass-word@")).look()
        assert b"uthorization: Basic dXM6cGFzcy13b3Jk" in server.heads[0]
    assert found.detail == "it answered 403"


# Commands


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", script, *arguments]


def run(script: str, *arguments: str, seconds: float = 20.0) -> Sighting:
    return CommandProbe(command(script, *arguments), seconds=seconds).look()


PRINT = f"print({GOOD.decode()!r})"
COMMANDS: dict[str, tuple[str, str, str]] = {
    "a bad end": (
        f"{PRINT}; import sys; sys.exit('no gateway\\nat all')",
        "gateway_command_failed",
        "status 1: no gateway",
    ),
    "no reason": (
        "raise SystemExit(3)",
        "gateway_command_failed",
        "the command ended with status 3: it gave no reason",
    ),
    "a signal": (f"{PRINT}; import os; os.kill(os.getpid(), 9)", "gateway_command_failed", "signal 9"),
    "HTML": (f"print({HTML.decode()!r})", "gateway_not_json", "not JSON"),
    "nothing": ("", "gateway_not_json", "not JSON"),
    "not well": ("print('{\"ok\":false}')", "gateway_not_ok", "not ok"),
    "a flood": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "gateway_too_large", "at most"),
    "terminal codes": (
        "import sys; sys.exit('\\x1b[2J' + 'x' * 100_000)",
        "gateway_command_failed",
        "\N{REPLACEMENT CHARACTER}[2Jxxx",
    ),
}


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_that_proves_nothing_is_told_by_its_code(kind: str) -> None:
    script, code, detail = COMMANDS[kind]
    found = run(script)
    assert (found.healthy, found.skills, found.code) == (False, None, code)
    assert detail in found.detail
    assert len(found.detail) <= 200


def test_a_command_that_ends_well_with_json_is_a_look() -> None:
    assert make_probe(shlex.join(command(PRINT))).look() == SEEN


def test_errors_beside_a_good_answer_do_not_matter_and_never_block_it() -> None:
    assert run(f"import sys; sys.stderr.write('x' * 5_000_000); {PRINT}") == SEEN


def test_an_answer_larger_than_a_pipe_is_read_whole() -> None:
    found = run("import json; print(json.dumps({'skills': [f'skill-{n}' for n in range(100_000)]}))")
    assert len(found.skills or ()) == 100_000


@pytest.mark.parametrize("before", ["", "[plugins] loaded {lcm}\n12:42:15 <b>gc</b>\n"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("behind", ["", "\n[lcm] ignoring {3} sessions"])
def test_lines_of_a_log_around_the_answer_are_passed_over(before: str, indent: int | None, behind: str) -> None:
    text = before + json.dumps(json.loads(GOOD), indent=indent) + behind
    assert run(f"print({text!r})") == SEEN


@pytest.mark.parametrize(
    "text",
    ['{"level": 30}\n{"ok": true}', "log\n{\n}\n{\n}", "log\n{ not closed\n", 'log {"ok": true}', "{\n\n} {}"],
)
def test_an_answer_among_lines_that_is_not_beyond_doubt_is_none(text: str) -> None:
    assert run(f"print({text!r})").code == "gateway_not_json"


def test_a_command_that_is_not_there_is_told() -> None:
    found = CommandProbe(["/nowhere/openclaw", "--token", "T0ken"]).look()
    assert (found.code, found.detail) == (
        "gateway_command_failed",
        "the command cannot be started: No such file or directory",
    )
    assert CommandProbe(["\udfff\ud800"]).look().code == "gateway_command_failed"


def test_the_command_sees_no_terminal_and_is_no_shells() -> None:
    assert run(f"import sys; assert sys.stdin.read() == ''; assert sys.argv[1] == '$HOME;'; {PRINT}", "$HOME;") == SEEN


HELD = """
import os, sys, time
if os.fork() == 0:
    {escape}
    open(sys.argv[1], "w").write(str(os.getpid()))
    time.sleep(600)
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read(): time.sleep(0.01)
print({good!r}, flush=True)
{then}
"""


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped by whoever inherited it has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    ("then", "code"), [("", ""), ("sys.exit(1)", "gateway_command_failed"), ("time.sleep(600)", "gateway_timeout")]
)
def test_what_a_command_leaves_behind_is_killed_and_holds_nobody_up(tmp_path: Path, then: str, code: str) -> None:
    script = HELD.format(escape="", good=GOOD.decode(), then=then)
    probe = CommandProbe(command(script, str(tmp_path / "pid")), seconds=3.0)
    found, took = timed_look(probe)
    assert found.code == code
    assert took < 3.0 + 2.0
    assert is_soon(lambda: is_gone(int((tmp_path / "pid").read_text())))


def test_what_has_left_the_session_holds_nobody_up_either(tmp_path: Path) -> None:
    script = HELD.format(escape="os.setsid()", good=GOOD.decode(), then="")
    found, took = timed_look(CommandProbe(command(script, str(tmp_path / "pid"))))
    os.kill(int((tmp_path / "pid").read_text()), 9)
    assert found == SEEN
    assert took < SLACK_SECONDS


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize(
    "script", [PRINT, "raise SystemExit(1)", "import time; time.sleep(600)", "while True: print('x' * 65536)"]
)
def test_no_look_leaves_a_child_or_an_open_file(script: str) -> None:
    before, files = children(), open_files()
    run(script, seconds=1.0)
    assert children() == before
    assert open_files() == files


def test_a_command_that_will_not_end_is_ended() -> None:
    script = "import signal, sys, os, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\n"
    found, took = timed_look(
        CommandProbe(command(f"{script}os.close(1); os.close(2); time.sleep(600)"), seconds=SHORT_SECONDS)
    )
    assert (found.code, found.detail) == ("gateway_timeout", "the command did not end within 0.4 s")
    assert took < SHORT_SECONDS + 2.0


def test_a_command_ends_early_when_the_process_is_to_end() -> None:
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    found, took = timed_look(make_probe(shlex.join(command("import time; time.sleep(600)")), stopping=stop.is_set))
    timer.join()
    assert found.code == "gateway_look_stopped"
    assert took < 2.0


def test_a_command_gets_the_environment_without_anything_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("PULLER_KEY", "PULLER_KEY_FILE", "TRUST_ANCHOR", "GITHUB_TOKEN", "GITHUB_TOKEN_FILE", "SIGNING_KEY")
    theirs = ("OPENCLAW_TOKEN", "OPENCLAW_TOKEN_FILE", "PATH", "HOME")
    for name in (*ours, "OPENCLAW_TOKEN", "OPENCLAW_TOKEN_FILE", "HOME"):
        monkeypatch.setenv(name, "/made/up")
    assert not set(ours) & set(command_environment())
    script = "import json, os; print(json.dumps({'skills': sorted(os.environ)}))"
    names = {each.name for each in run(script).skills or ()}
    assert names.issuperset(theirs)
    assert not names & set(ours)


def test_a_secret_that_the_command_was_given_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_GATEWAY_PASSWORD", "env-secret")
    script = "import sys; sys.exit(f'refused {sys.argv[2]} {sys.argv[3]} env-secret at {sys.argv[4]}')"
    found = run(script, "--token", "T0ken", "--gateway-password=P4ss", "ws://x")
    assert found.detail == "the command ended with status 1: refused *** --gateway-password=*** *** at ws://x"
    assert secrets_among(["--key", "k", "--url", "u", "--token="], {"API_TOKEN": "short"}) == ["k"]


# What GATEWAY_PROBE may be


@pytest.mark.parametrize(
    "value", ["http://127.0.0.1:18789/healthz", " HTTPS://u:p@gateway.example/x?y=z ", "http://[::1]:80"]
)
def test_a_url_is_asked(value: str) -> None:
    check_probe(value)
    assert isinstance(make_probe(value), UrlProbe)


@pytest.mark.parametrize(
    "value", ["true", "openclaw gateway call skills.status --json --params '{}' --url ws://127.0.0.1:1"]
)
def test_everything_else_is_a_command(value: str) -> None:
    check_probe(value)
    assert isinstance(make_probe(value), CommandProbe)


UNUSABLE = (
    *("", "  ", "\t\n", "''", '"" x', "a 'b", 'a "b', "a\\", "a\0b"),
    *("ftp://h/x", "ws://127.0.0.1:18789", "file:///etc/passwd", "httpx://h"),
    *("http://", "http:///x", "http://h:0/", "http://h:99999/", "http://h:port/", "http://[::1", "http://xn--/"),
    *("http://h/x y", "http://h/\x01", "http://h/#top", "http://h\u3000/"),
)


@pytest.mark.parametrize("value", UNUSABLE)
def test_what_can_be_neither_is_refused_without_being_repeated(value: str) -> None:
    for make in (check_probe, make_probe):
        with pytest.raises(ConfigError, match="GATEWAY_PROBE") as caught:
            make(value)
        assert caught.value.code == "CONFIG_INVALID"
        assert len(value.strip()) < 4 or value.strip() not in caught.value.message


def test_nothing_is_asked_or_run_before_the_first_look(tmp_path: Path) -> None:
    with listening(answer("200 OK", GOOD)) as server:
        make_probe(server.url)
        make_probe(shlex.join(["touch", str(tmp_path / "x")]))
        assert server.heads == []
    assert not (tmp_path / "x").exists()
