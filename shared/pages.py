"""The dashboard's pages and actions: each opens what it needs, gathers, describes, renders. Who may ask is decided before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import calls, reading, wiring
from shared.errors import DeadlineError, InputError, RejectedError, SkillSyncError, UnavailableError
from shared.held import api_key_use

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.config import Settings
    from shared.dashboard.home import Place
    from shared.dashboard.words import Word
    from shared.service.dashboard import Board, Wanted
    from shared.service.sync import Outcome

MAX_RELEASED = 100
_MAX_FILTER_CHARS = 200


def home(found: Settings, query: Mapping[str, str]) -> tuple[int, bytes]:
    """Return the first page with its status, 503 where the store cannot be read.

    Args:
        found: The settings.
        query: `q` and `state` filter the skills, `after` and `before` turn the pages, `done` or `failed` say what an action
            came to.

    Raises:
        InputError: `STATE_INVALID`, `DEPLOYMENT_ID_INVALID`, `FILTER_INVALID`.
    """
    from shared.core.health import unreadable
    from shared.dashboard.home import home
    from shared.dashboard.render import page
    from shared.service.dashboard import dark

    wanted, status = _wanted(query), 200
    try:
        gathered = _board(found, wanted)
    except (RejectedError, UnavailableError) as error:
        told = unreadable(error.code, wiring.now(), webhook_configured=bool(found.webhook_secrets))
        gathered, status = dark(told, wiring.now()), 503
    return status, page("home.html", home(gathered, wanted, _place(found), wiring.now(), _result(query)))


def deployment(found: Settings, name: str, after: str) -> bytes:
    """Return the page of one deployment; `after` begins a further page of its texts."""
    from shared.dashboard.event import event
    from shared.dashboard.render import page
    from shared.service.deployment_texts import told

    known = told(wiring.store(found), wiring.trust(found), wiring.together(), name, after)
    return page("event.html", event(known, _place(found).links, wiring.now()))


def ask_sync(key: str) -> bytes:
    """Return the page that asks before a sync; `key` is the API key that its form is bound to."""
    from shared.core.form_token import form_token
    from shared.dashboard.confirm import SYNC, confirm_sync
    from shared.dashboard.render import page

    return page("confirm.html", confirm_sync(form_token(key, SYNC, wiring.now())))


def ask_rollback(found: Settings, key: str, to: str) -> bytes:
    """Return the preview of a rollback."""
    from shared.core.form_token import form_token
    from shared.dashboard.confirm import confirm_rollback, rollback_purpose
    from shared.dashboard.render import page

    token = form_token(key, rollback_purpose(to), wiring.now())
    return page("confirm.html", confirm_rollback(reading.diff(found, older=None, newer=to), token))


def ask_release(found: Settings, key: str, keys: Sequence[str]) -> bytes:
    """Return the page that asks before a release; `keys` stand for the skills as they were shown."""
    from shared.core.form_token import form_token
    from shared.dashboard.confirm import confirm_release, release_purpose
    from shared.dashboard.render import page
    from shared.service.dashboard import withheld_by

    _check_amount(keys)
    listed = withheld_by(wiring.store(found), wiring.trust(found), keys)
    token = form_token(key, release_purpose(keys), wiring.now())
    return page("confirm.html", confirm_release(listed, keys, _place(found).links, token))


def sync(found: Settings, key: str, token: str) -> str:
    """Run a sync; return the address of the page that tells how it ended."""
    from shared.core.form_token import check_form_token
    from shared.dashboard.confirm import SYNC
    from shared.model import Trigger

    check_form_token(token, key, SYNC, wiring.now())
    asked = calls.Asked(uses=api_key_use(found, key))
    return _ended(lambda: calls.synchronise(found, calls.OPERATOR_SECONDS, Trigger.MANUAL, asked), late="deferred")


def roll_back(found: Settings, key: str, token: str, to: str) -> str:
    """Roll back; return the address of the page that tells how it ended."""
    from shared.core.form_token import check_form_token
    from shared.dashboard.confirm import rollback_purpose
    from shared.model import DeploymentId

    check_form_token(token, key, rollback_purpose(to), wiring.now())
    return _ended(lambda: calls.roll_back(found, calls.OPERATOR_SECONDS, DeploymentId(to)))


def release(found: Settings, key: str, token: str, keys: Sequence[str]) -> str:
    """Release withheld skills; return the address of the page that tells how it ended."""
    from shared.core.form_token import check_form_token
    from shared.dashboard.confirm import release_purpose
    from shared.model import Trigger
    from shared.service.dashboard import withheld_by

    _check_amount(keys)
    check_form_token(token, key, release_purpose(keys), wiring.now())

    def run() -> Outcome:
        listed = withheld_by(wiring.store(found), wiring.trust(found), keys)
        asked = calls.Asked(release=tuple(item.id for item in listed), uses=api_key_use(found, key))
        return calls.synchronise(found, calls.OPERATOR_SECONDS, Trigger.MANUAL, asked)

    return _ended(run)


def refusal(error: SkillSyncError, status: int) -> bytes:
    """Return the page that says why a call was refused; its words are fixed, beside the code and the next action.

    Args:
        error: What happened.
        status: The HTTP status that it is answered with.
    """
    from shared.dashboard.refused import refused
    from shared.dashboard.render import page

    return page("refused.html", refused(error, status))


def headers() -> Mapping[str, str]:
    """Return the headers of every page."""
    from shared.dashboard.render import headers

    return headers()


def _board(found: Settings, wanted: Wanted) -> Board:
    from shared.service.dashboard import Desk, board

    got = reading.look(found)
    desk = Desk(
        store=wiring.store(found),
        trust=got.trust,
        together=wiring.together(),
        watched=reading.watched(found),
        trouble=wiring.trust_trouble(found),
    )
    return board(desk, got.seen, wanted, got.now)


def _wanted(query: Mapping[str, str]) -> Wanted:
    from shared.core.names import parse_deployment
    from shared.core.shelf import Shown
    from shared.service.dashboard import Wanted

    text, shown, before = query.get("q", ""), query.get("state", "") or "all", query.get("before", "")
    if len(text) > _MAX_FILTER_CHARS:
        raise InputError("FILTER_INVALID", f"q has at most {_MAX_FILTER_CHARS} characters")
    if shown not in set(Shown):
        raise InputError("STATE_INVALID", f"state is one of {', '.join(Shown)}")
    if before:
        parse_deployment(before)
    return Wanted(text=text.strip(), shown=Shown(shown), after=query.get("after", ""), before=before)


def _place(found: Settings) -> Place:
    from shared.dashboard.home import Place
    from shared.dashboard.links import Links, forge_of

    forge = "" if found.source_url is not None else forge_of(found.github_api_url, found.repo)
    return Place(repo=found.repo, channel=found.channel, links=Links(forge=forge, runbook=found.runbook_url or ""))


def _result(query: Mapping[str, str]) -> tuple[Word | None, str]:
    """Return the fixed words for what an action came to: nothing that an address holds is ever shown."""
    from shared.core.names import parse_deployment
    from shared.dashboard.words import DONE, FAILED

    word = DONE.get(query.get("done", "")) or FAILED.get(query.get("failed", ""))
    try:
        made = "{}-{}".format(*parse_deployment(query.get("made", ""))) if word is not None else ""
    except InputError:
        made = ""
    return word, made


def _ended(run: Callable[[], Outcome], late: str = "") -> str:
    """Run what a person asked for, and say how it ended; `late` is the word where a poll finishes what was begun."""
    from shared import log
    from shared.dashboard.links import address
    from shared.dashboard.words import failure_key

    try:
        outcome = run()
    except DeadlineError:
        return address("/", done=late) if late else address("/", failed="BUSY")
    except SkillSyncError as error:
        log.warning("Call failed", code=error.code, detail=error.message)
        return address("/", failed=failure_key(error))
    return address("/", done=_word_of(outcome), made=outcome.deployment)


def _word_of(outcome: Outcome) -> str:
    from shared.model import Status

    if outcome.status is None:
        return "unchanged"
    if outcome.status is Status.REJECTED:
        return "withheld"
    return "deployed-in-part" if outcome.withheld and outcome.status is Status.SUCCESS else "deployed"


def _check_amount(keys: Sequence[str]) -> None:
    if not 0 < len(keys) <= MAX_RELEASED:
        raise InputError("SKILLS_INVALID", f"choose 1 to {MAX_RELEASED} skills")
