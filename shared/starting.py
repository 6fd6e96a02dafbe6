"""What keeps a function from starting: settings that are missing, wrong or contradict each other, all of them named at once.

A revision that does not start gets no traffic, and the one before goes on serving; one that started would answer every call
with 503. Later only mounted files change: those are checked at each call, and again where a further instance starts.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NoReturn

from shared import log
from shared.config import running, settings_with_faults
from shared.core.auth import puller_keys
from shared.core.canonical import member, parse_object
from shared.core.logins import PRIVATE_DOMAIN, is_private
from shared.core.store_uri import FilePlace, store_place
from shared.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.config import Settings

EXIT_STATUS = 78
"""A setting is missing or wrong, as sysexits.h has it and our commands do."""
_DEPLOYING = ("STORE_URI", "TRUST_ANCHOR", "SIGNING_KEY")
NEEDED = {
    "webhook": (*_DEPLOYING, "GITHUB_WEBHOOK_SECRET"),
    "poll": _DEPLOYING,
    "sync": (*_DEPLOYING, "MANUAL_SYNC_API_KEY"),
    "validate": ("MANUAL_SYNC_API_KEY",),
    "release": ("STORE_URI", "TRUST_ANCHOR", "PULLER_KEY_HASHES"),
    "status": ("STORE_URI", "TRUST_ANCHOR", "MANUAL_SYNC_API_KEY"),
    "dashboard": (*_DEPLOYING, "MANUAL_SYNC_API_KEY"),
    # Without a webhook's secret it polls, and without a puller's key it deploys for nobody yet; /health tells both.
    "app": (*_DEPLOYING, "MANUAL_SYNC_API_KEY"),
}
"""What each function cannot do its work without."""
_UNREACHABLE = (
    f"names a *{PRIVATE_DOMAIN} host, which answers inside Railway only; give the database's public TLS address (Neo4j Aura, "
    "or Railway's TCP proxy)"
)
_SEED_BYTES = 32
_LINE = frozenset({"CHANNEL", "GITHUB_OWNER", "GITHUB_REPO", "GITHUB_BRANCH"})
"""What a trust is about."""
# What goes together, and which functions do without: the same addresses may be told to all of them, but secrets only to those
# that use them.
_TOGETHER = (
    (("NEO4J_URI", "NEO4J_PASSWORD"), {"validate", "release"}),
    (("GITHUB_APP_ID", "GITHUB_APP_KEY"), {"release"}),
    (("DEFERRED_QUEUE", "DEFERRED_POLL_URL", "DEFERRED_CALLER"), set[str]()),
)


def check_start(function: str) -> None:
    """End this process when the function cannot work with its settings; one line of the log then names every reason.

    Args:
        function: Its name, as in `functions/main.py`.

    Raises:
        SystemExit: 78. The framework passes it on, and the process ends.
    """
    found, faults = settings_with_faults()
    # What is wrong is not missing as well, and contradicts nothing.
    problems = [*faults.items(), *(each for each in _problems(function, found) if each[0] not in faults)]
    if not _LINE & {name for name, _ in problems}:
        problems += _trust_mismatch(found)
    if problems:
        _refuse(function, [f"{name}: {fault}" for name, fault in problems])


def _refuse(function: str, problems: list[str]) -> NoReturn:
    message = "The function does not start: settings are missing, wrong or contradict each other"
    log.error(message, function=function, code="CONFIG_INVALID", problems=problems)
    raise SystemExit(EXIT_STATUS)


def _problems(function: str, found: Settings) -> Iterator[tuple[str, str]]:
    """Yield the setting to mend, and what is wrong with it; no secret's value is among it."""
    for name in NEEDED.get(function, ()):
        if not found.is_given(name):
            yield name, f"not set (nor {name}_FILE)"
    for group, without in _TOGETHER:
        given = [name for name in group if found.is_given(name) and function not in without]
        missing = [name for name in group if not found.is_given(name)] if given else []
        for name in missing:
            yield name, f"not set, but {' and '.join(given)} {'is' if len(given) == 1 else 'are'}; they go together"
    yield from _contradictions(function, found)
    yield from _store(found)
    yield from _keys(found)


def _contradictions(function: str, found: Settings) -> Iterator[tuple[str, str]]:
    branch = found.github_branch or ""
    if found.neo4j_uri is not None and is_private(found.neo4j_uri):
        yield "NEO4J_URI", _UNREACHABLE
    if found.oidc_audience is not None and not branch:
        yield "GITHUB_BRANCH", "not set, but OIDC_AUDIENCE is; a workflow's token is accepted for one branch"
    if branch.startswith("refs/"):
        yield "GITHUB_BRANCH", "expected a branch's short name, such as main, without refs/heads/"
    if function == "poll" and found.poll_auth != "iam" and not found.api_keys:
        yield "MANUAL_SYNC_API_KEY", "not set (nor MANUAL_SYNC_API_KEY_FILE), and POLL_AUTH is not iam"
    if function == "app" and found.poll_auth == "iam":
        yield "POLL_AUTH", "iam is for the function poll alone; anybody reaches app, and could poll without a key"


def _store(found: Settings) -> Iterator[tuple[str, str]]:
    if found.store_uri is None:
        return
    try:
        place = store_place(found.store_uri)
    except ConfigError as error:
        yield "STORE_URI", error.message
    else:
        if running().on_cloud_run and isinstance(place, FilePlace):
            yield "STORE_URI", "on Cloud Run a file is lost with its instance; expected gs://bucket/prefix"


def _keys(found: Settings) -> Iterator[tuple[str, str]]:
    if not all(_is_seed(seed) for seed in found.signing_keys):
        yield "SIGNING_KEY", f"expected {_SEED_BYTES} bytes as base64, one or two lines"
    if sum(map(len, puller_keys(found.puller_key_hashes).values())) != len(found.puller_key_hashes):
        yield "PULLER_KEY_HASHES", "each line is <puller id>:<SHA-256 of the key in hex>"


def _is_seed(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _SEED_BYTES
    except ValueError:
        return False


def _trust_mismatch(found: Settings) -> Iterator[tuple[str, str]]:
    """Compare what the trust is about. Who signed it is checked at the first call: here nobody believes it yet."""
    if found.trust_anchor is None:
        return
    try:
        envelope = parse_object(found.trust_anchor.encode(), what="TRUST_ANCHOR", max_depth=4)
        payload = base64.b64decode(member(envelope, "payload", str, what="TRUST_ANCHOR"), validate=True)
        stated = parse_object(payload, what="its payload", max_depth=2)
        theirs = tuple(member(stated, key, str, what="its payload") for key in ("channel", "repo", "ref"))
    except (InputError, ValueError):
        yield "TRUST_ANCHOR", "expected one line of JSON, as `operator init` prints it"
        return
    ours = (found.channel, found.repo, found.ref)
    if theirs != ours:
        yield "TRUST_ANCHOR", f"is about (channel, repo, ref) {theirs}, the settings say {ours}"
