"""Alerts through the real apprise to real servers on this machine: whatever they do, the others are told, and nobody waits."""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email import message_from_string
from email.policy import default
from typing import TYPE_CHECKING

import pytest
from apprise import Apprise

from shared.adapters.apprise_alert import AppriseAlert
from shared.core.alert_kinds import Tone
from shared.core.letters import Letter
from shared.core.plain_text import fingerprint
from tests.fakes.listeners import answering, pullers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

    from tests.fakes.listeners import Puller

SHORT = 1.0
SLACK = 1.0
"""What a busy machine may add to a wait."""
TITLE = "[skill-sync prod] 2 skills withheld by the rules"
BODY = "octo/skills, channel prod\n\n- alpha, tree 0123456789ab: FM_MISSING\n- beta_x, tree none: SECRET_AWS"
SECRET = "s3cret-token"


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """Loading apprise takes a while; that is not what these tests measure."""
    AppriseAlert(["json://127.0.0.1:9/"]).prepare()


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """What was given up may still log something, which must not reach the next test."""
    yield
    for thread in [thread for thread in threading.enumerate() if thread.name.startswith("alert-")]:
        thread.join(10)
        assert not thread.is_alive()


def address(server: Puller, path: str = f"hook/{SECRET}") -> str:
    return f"json://127.0.0.1:{server.server_port}/{path}"


def letter(*urls: str, title: str = TITLE, tone: Tone = Tone.WARNING) -> Letter:
    return Letter(title=title, body=BODY, tone=tone, to=frozenset(fingerprint(url) for url in urls))


def sent(*urls: str, seconds: float = 5.0) -> list[frozenset[str]]:
    return AppriseAlert(urls)([letter(*urls)], seconds)


def prints(*urls: str) -> frozenset[str]:
    return frozenset(fingerprint(url) for url in urls)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def hanging(handler: BaseHTTPRequestHandler) -> None:
    handler.server.ended.wait(30)  # type: ignore[attr-defined]


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """The head of the answer comes byte by byte, and never ends."""
    while not handler.server.ended.wait(0.01):  # type: ignore[attr-defined]
        handler.wfile.write(b"H")


def slow(handler: BaseHTTPRequestHandler) -> None:
    handler.server.ended.wait(0.2)  # type: ignore[attr-defined]
    answering(200)(handler)


@contextmanager
def a_closed_port() -> Iterator[str]:
    with socket.socket() as bound:  # bound, so that nobody else gets it, and never listening
        bound.bind(("127.0.0.1", 0))
        yield f"json://127.0.0.1:{bound.getsockname()[1]}/{SECRET}"


# What arrives


@pytest.mark.parametrize(
    ("tone", "kind"), [(Tone.ERROR, "failure"), (Tone.WARNING, "warning"), (Tone.RECOVERY, "success")]
)
def test_title_text_and_tone_arrive_as_they_are(tone: Tone, kind: str) -> None:
    with pullers(answering(200)) as (server,):
        url = address(server)
        assert AppriseAlert([url])([letter(url, tone=tone)], 5.0) == [prints(url)]
        ((path, _, body),) = server.taken
    document = json.loads(body)
    assert path == f"/hook/{SECRET}"
    assert (document["title"], document["message"], document["type"]) == (TITLE, BODY, kind)


def test_each_letter_goes_to_its_own_addresses_in_order() -> None:
    with pullers(answering(200), answering(200)) as servers:
        one, two = (address(server) for server in servers)
        letters = [letter(one, title="first"), letter(one, two, title="second")]
        assert AppriseAlert([one, two])(letters, 5.0) == [prints(one), prints(one, two)]
        titles = [[json.loads(body)["title"] for _, _, body in server.taken] for server in servers]
    assert titles == [["first", "second"], ["second"]]


def test_slack_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with pullers(answering(200)) as (server,):
        url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
        there = f"http://127.0.0.1:{server.server_port}/services"
        monkeypatch.setattr(type(Apprise.instantiate(url)), "webhook_url", there)
        sent(url)
        ((_, _, body),) = server.taken
    document = json.loads(body)
    assert document["mrkdwn"] is False
    assert BODY in json.dumps(document, ensure_ascii=False).replace("\\n", "\n")


def test_discord_gets_plain_text_that_pings_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with pullers(answering(204)) as (server,):
        url = "discord://123456789012345678/abcdefghijklmnopqrstuvwxyz"
        there = f"http://127.0.0.1:{server.server_port}/api/webhooks"
        monkeypatch.setattr(type(Apprise.instantiate(url)), "notify_url", there)
        assert sent(url) == [prints(url)]
        ((_, _, body),) = server.taken
    assert "embeds" not in json.loads(body)
    assert BODY in json.loads(body)["content"]


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that takes everything, without encryption."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[str] = []


class _Session(socketserver.StreamRequestHandler):
    server: Mailbox

    def handle(self) -> None:
        self.wfile.write(b"220 mail\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.mails.append(text.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


@contextmanager
def a_mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_mail_is_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *_: "sync.localhost")  # asks the network who we are
    with a_mailbox() as server:
        port = server.server_address[1]
        url = f"mailto://127.0.0.1:{port}?to=ops@example.com&from=sync@example.com&mode=insecure"
        letters = [letter(url), letter(url, title="second")]
        assert AppriseAlert([url])(letters, 5.0) == [prints(url)] * 2
    mail = message_from_string(server.mails[0], policy=default)
    assert (mail["Subject"], mail["To"]) == (TITLE, "ops@example.com")
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n").strip() == BODY
    assert len(server.mails) == 2


# What goes wrong


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_even_where_the_address_asks_for_it(status: int) -> None:
    with pullers(answering(200)) as (other,), pullers(answering(status, Location=other.url)) as (server,):
        url = address(server) + "?redirect=yes"
        assert sent(url) == [frozenset()]
        assert (len(server.taken), other.taken) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_an_answer_that_is_no_success_counts_as_not_delivered(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pullers(answering(status)) as (server,):
        assert sent(address(server)) == [frozenset()]
    (line,) = logged(capsys)
    assert (line["message"], line["address"]) == ("An alert was not taken", fingerprint(address(server)))


@pytest.mark.parametrize("bad", [hanging, dripping, answering(500)])
def test_a_good_address_among_bad_ones_is_told_and_nobody_waits_longer_than_allowed(
    bad: Callable[[BaseHTTPRequestHandler], None],
) -> None:
    with a_closed_port() as closed, pullers(bad, slow, bad) as servers:
        one, good, other = (address(server) for server in servers)
        started = time.monotonic()
        reached = sent(closed, one, good, other, "nonsense://x", seconds=SHORT)
        assert time.monotonic() - started < SHORT + SLACK
        assert reached == [prints(good)]


def test_an_address_that_hangs_keeps_its_later_letters_from_going_out() -> None:
    with pullers(hanging) as (server,):
        url = address(server)
        assert AppriseAlert([url])([letter(url)] * 3, SHORT) == [frozenset()] * 3
        assert len(server.taken) == 1


def test_an_address_that_still_drips_is_not_called_again_meanwhile() -> None:
    with pullers(dripping) as (server,):
        url = address(server)
        alert = AppriseAlert([url])
        assert [alert([letter(url)], 0.3), alert([letter(url)], 0.3)] == [[frozenset()]] * 2
        assert len(server.taken) == 1


def test_a_host_whose_name_is_looked_up_for_ever_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        found.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", never)
    try:
        started = time.monotonic()
        assert sent("json://localhost:9/", seconds=0.3) == [frozenset()]
        assert time.monotonic() - started < 0.3 + SLACK
        assert [line["message"] for line in logged(capsys)] == ["An alert was given up"]
    finally:
        found.set()


@pytest.mark.parametrize("url", ["nonsense://x", "json://", "slack://x", "json://127.0.0.1:99999/x", "https://a/b"])
def test_an_address_that_apprise_does_not_know_harms_nobody(url: str) -> None:
    with pullers(answering(200)) as (server,):
        assert sent(url, address(server)) == [prints(address(server))]


def test_what_apprise_does_not_know_is_named_by_its_number_once(capsys: pytest.CaptureFixture[str]) -> None:
    alert = AppriseAlert(["json://127.0.0.1/", f"nonsense://{SECRET}", f"slack://{SECRET}"])
    alert.prepare()
    alert.prepare()
    (line,) = logged(capsys)
    assert (line["severity"], line["numbers"]) == ("ERROR", [2, 3])


def test_no_address_is_ever_written_down(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with a_closed_port() as closed, pullers(answering(500), hanging, answering(200)) as servers:
        urls = [closed, *(f"json://user:{SECRET}@127.0.0.1:{server.server_port}/{SECRET}" for server in servers)]
        alert = AppriseAlert([*urls, f"nonsense://{SECRET}"])
        alert.prepare()
        alert([letter(*urls)], 0.5)
        out, err = capfd.readouterr()
        assert SECRET not in out + err + caplog.text + repr(alert)


def test_without_time_nothing_is_begun() -> None:
    with pullers(answering(200)) as (server,):
        assert sent(address(server), seconds=0.0) == [frozenset()]
        assert server.taken == []


def test_apprise_is_loaded_only_when_there_is_something_to_send() -> None:
    script = (
        "import sys; from shared.adapters.apprise_alert import AppriseAlert\n"
        "alert = AppriseAlert(['json://127.0.0.1:9/']); alert([], 1.0); assert 'apprise' not in sys.modules\n"
        "alert.prepare(); assert 'apprise' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_hanging_address_does_not_keep_the_process_from_ending() -> None:
    with pullers(dripping) as (server,):
        url = address(server)
        script = (
            "import sys; from shared.adapters.apprise_alert import AppriseAlert; from shared.core.letters import Letter\n"
            "from shared.core.alert_kinds import Tone; alert = AppriseAlert([sys.argv[1]])\n"
            "alert([Letter(title='t', body='b', tone=Tone.ERROR, to=alert.addresses)], 2.0)"
        )
        subprocess.run([sys.executable, "-c", script, url], check=True, timeout=20, capture_output=True)
        assert len(server.taken) == 1
