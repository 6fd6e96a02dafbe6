"""What libraries log, warn of and let go wrong comes out as lines like our own, or not at all."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from shared import log
from shared.adapters.threads import in_threads
from shared.log import foreign
from shared.log.foreign import catch_loggers, catch_uncaught
from shared.log.places import MAX_FRAMES, described
from shared.log.redaction import remember

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "kX9" * 12


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Undo what the process has for good."""
    root, gunicorn = logging.getLogger(), logging.getLogger("gunicorn.error")
    before = (root.handlers[:], root.level, gunicorn.handlers[:], gunicorn.filters[:], gunicorn.propagate)
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:], level, gunicorn.handlers[:], gunicorn.filters[:], gunicorn.propagate = before
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    told = capsys.readouterr()
    assert told.err == ""
    return [json.loads(line) for line in told.out.splitlines()]


@pytest.mark.parametrize(
    ("level", "severity"),
    [(logging.WARNING, "WARNING"), (35, "WARNING"), (logging.ERROR, "ERROR"), (logging.CRITICAL, "CRITICAL")],
)
def test_a_librarys_record_is_a_line(level: int, severity: str, capsys: pytest.CaptureFixture[str]) -> None:
    catch_loggers()
    remember([SECRET])
    with log.scope({"a": 1}):
        logging.getLogger("neo4j.pool").log(level, "no route to %s\n%s", "host", SECRET)
    assert lines(capsys) == [
        {
            "severity": severity,
            "message": "A library says",
            "logger": "neo4j.pool",
            "detail": "no route to host\N{REPLACEMENT CHARACTER}[redacted]",
            "a": 1,
        }
    ]


@pytest.mark.parametrize("name", ["httpx", "urllib3.connectionpool", "google.auth", "werkzeug", "gunicorn.error"])
def test_below_a_warning_libraries_stay_silent(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    catch_loggers()
    logger = logging.getLogger(name)
    former = logger.level
    logger.setLevel(logging.DEBUG)
    logger.info("HTTP Request: GET https://codeload.github.com/x?token=%s", SECRET)
    logger.debug("x")
    logger.setLevel(former)
    assert lines(capsys) == []


def test_twice_caught_is_one_line_and_bare_handlers_are_gone(capsys: pytest.CaptureFixture[str]) -> None:
    # As functions-framework does with LOG_EXECUTION_ID, before it loads our code.
    bare = io.StringIO()
    logging.getLogger().addHandler(logging.StreamHandler(bare))
    catch_loggers()
    catch_loggers()
    logging.getLogger("x").warning("once")
    assert [line["detail"] for line in lines(capsys)] == ["once"]
    assert bare.getvalue() == ""


def test_a_command_keeps_standard_output_for_its_result(capsys: pytest.CaptureFixture[str]) -> None:
    catch_loggers()
    catch_loggers("stderr")
    logging.getLogger("x").warning("aside")
    told = capsys.readouterr()
    assert (told.out, json.loads(told.err)["detail"]) == ("", "aside")


def test_gunicorns_own_handler_which_comes_later_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    catch_loggers()
    bare = io.StringIO()
    logger = logging.getLogger("gunicorn.error")
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(bare))
    logger.critical("WORKER TIMEOUT (pid:%s)", 7)
    assert [(line["severity"], line["detail"]) for line in lines(capsys)] == [("CRITICAL", "WORKER TIMEOUT (pid:7)")]
    assert bare.getvalue() == ""


def test_a_record_with_an_exception_tells_its_place_and_not_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    catch_loggers()
    try:
        json.loads("{" + SECRET)
    except ValueError:
        logging.getLogger("x").exception("it failed")
    (line,) = lines(capsys)
    assert (line["severity"], line["detail"], line["kind"]) == ("ERROR", "it failed", "JSONDecodeError")
    assert line["place"].startswith("json/decoder.py:")
    assert "Expecting" not in json.dumps(line)


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("no")

    __repr__ = __str__


@pytest.mark.parametrize(("message", "args"), [("%d", ("x",)), ("%s %s", ("x",)), ("%s", (Unprintable(),))])
def test_a_record_that_cannot_be_put_together_is_a_line_too(
    message: str, args: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    catch_loggers()
    logger = logging.getLogger("x")
    logger.propagate = False  # pytest's own handlers raise what such a record makes them raise
    (handler,) = [each for each in logging.getLogger().handlers if isinstance(each, foreign.LineHandler)]
    logger.addHandler(handler)
    logger.error(message, *args)
    logger.removeHandler(handler)
    logger.propagate = True
    assert [line["detail"] for line in lines(capsys)] == [message]


def test_pythons_warnings_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        catch_loggers()
        warnings.warn("old\nways", stacklevel=1)
        (line,) = lines(capsys)
        logging.captureWarnings(capture=False)
    assert (line["severity"], line["logger"]) == ("WARNING", "py.warnings")
    assert "UserWarning: old\N{REPLACEMENT CHARACTER}ways" in line["detail"]


def test_what_ends_a_thread_or_the_process_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    catch_uncaught()

    def work() -> None:
        raise ValueError(SECRET)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    sys.excepthook(OSError, OSError(28, SECRET), None)
    ended, ends = lines(capsys)
    assert (ended["message"], ended["kind"], ended["thread"]) == (
        "Unexpected error: a thread ends",
        "ValueError",
        "worker",
    )
    assert ended["place"].endswith(f"test_log_foreign.py:{work.__code__.co_firstlineno + 1} work")
    assert (ends["severity"], ends["kind"], ends["code"]) == ("CRITICAL", "OSError", "OS_28")
    assert SECRET not in json.dumps([ended, ends])


def test_who_has_a_hook_of_his_own_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def own(*_: object) -> None: ...

    monkeypatch.setattr(threading, "excepthook", own)
    monkeypatch.setattr(sys, "excepthook", own)
    catch_uncaught()
    assert sys.excepthook is own
    assert threading.excepthook is own


def test_a_thread_that_ends_itself_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    foreign._end_of_thread(threading.ExceptHookArgs((SystemExit, SystemExit(1), None, None)))
    assert lines(capsys) == []


# Where an error came from


def caught(call: object) -> BaseException:
    try:
        call()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("nothing was raised")


def test_an_error_tells_kind_place_and_our_own_frames_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    from shared.config import load_settings  # noqa: PLC0415 - for a frame of ours

    log.unexpected(caught(lambda: load_settings({"SKILLS_ROOT": 5})))  # type: ignore[dict-item]
    (line,) = lines(capsys)
    assert (line["severity"], line["message"], line["kind"]) == ("ERROR", "Unexpected error", "AttributeError")
    assert [frame.split(":")[0] for frame in line["stack"]] == [
        "shared/config.py",
        "shared/setting_reader.py",
        "shared/setting_reader.py",
        "shared/setting_reader.py",
    ]
    assert line["place"] == line["stack"][-1]
    assert line["place"].endswith(" raw_setting")
    assert set(line) == {"severity", "message", "kind", "place", "stack"}


def test_a_stack_without_end_is_cut_to_its_innermost_frames() -> None:
    def deeper() -> None:
        deeper()

    told = described(caught(deeper))
    assert (told["kind"], told["stack"]) == ("RecursionError", [])

    def through_ours(times: int) -> object:
        return in_threads([lambda: through_ours(times - 1)]) if times else 1 / 0

    told = described(caught(lambda: through_ours(3 * MAX_FRAMES)))
    assert [str(frame).split(":")[0] for frame in told["stack"]] == ["shared/adapters/threads.py"] * MAX_FRAMES  # type: ignore[attr-defined]


def test_the_kinds_of_what_came_before_are_told_and_a_ring_of_them_ends() -> None:
    one, two = ValueError(SECRET), KeyError(SECRET)
    one.__cause__, two.__context__ = two, one
    assert described(one)["causes"] == ["KeyError", "ValueError", "KeyError", "ValueError"]
