"""Finding secrets in a text: those of known providers, private keys, passwords in URLs, and what merely looks like one.

No comment in the text switches the gate off, and characters that nobody sees do not split a secret. What was matched never
leaves this module: a hit tells rule, line and kind. Everything runs in time that grows with the text's length only.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from shared.core.providers import PROVIDERS
from shared.core.rules import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HITS = 100
"""More of one file tell its author nothing new."""
_LEAST_CHARS = 18
_MARKS = "_-.:/"
_FOUND, _SUSPECT = "SECRET_FOUND", "SECRET_SUSPECT"
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff\U000e0000-\U000e007f]")

_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----")
_KEY_NOISE = re.compile(r"\\+[nrt]|[\s\"'+,>|#*]|[A-Z][A-Za-z-]{1,20}: [^\n\\]{0,80}")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{48}")
_KEY_WINDOW = 600

_SCHEME = re.compile(
    r"(?:https?|s?ftp|postgres(?:ql)?|mysql|mariadb|rediss?|mongodb(?:\+srv)?|amqps?|neo4j(?:\+s(?:sc)?)?"
    r"|bolt(?:\+s(?:sc)?)?|mssql|clickhouse|nats|ldaps?|smtps?)(?:\+[a-z0-9]{1,12})?\Z"
)
_SCHEME_CHARS = 28
_AUTHORITY = re.compile(r"[^\s:/@\"'<>`]{0,80}:([^\s/@\"'<>`]{3,200})@([A-Za-z0-9._-]{1,200}|\[[0-9A-Fa-f:]{2,40}\])")
_HOME = re.compile(
    r"localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1\]|(?:[\w-]+\.)*example(?:\.\w+)?|host(?:name)?|server|db|database|your.*",
    re.IGNORECASE,
)
_WEAK = frozenset(
    {"password", "passwd", "pass", "pwd", "secret", "token", "user", "username", "admin", "root", "guest", "postgres"}
    | {"mysql", "redis", "neo4j", "mongo", "rabbitmq", "letmein", "mypassword", "mysecret", "apikey", "api_key", "key"}
)

_ASSIGNED = re.compile(
    r"[\w.-]{0,20}[\"']?[ \t]{0,4}(?:=>|:=|[:=])[ \t]{0,4}[\"'`]?([A-Za-z0-9+/_=~!@#%^&*.-]{16,200})"
)
_NAMES_OF_SECRETS = (
    "apikey",
    "api_key",
    "api-key",
    "secret",
    "token",
    "passwd",
    "password",
    "passphrase",
    "credential",
)
_LEAST_ENTROPY = 3.6

# Each word is so long, or bound so, that a random secret hardly ever holds it: one that did would be published.
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|placeholder|your[-_ ]|your(?:api|key|token|secret|pass|bot)|change[-_]?me|redacted|insert|replace"
    r"|xxxxx|\*\*\*|\.\.\.|…|<|>|\$\{|\{\{|%\(|fake[-_]|[-_]fake|not[-_]?real|foo[-_]?bar|sflkxwrj|12345678|abcdefgh|qwertyui"
    r"|deadbeef|(.)\1{7}",
    re.IGNORECASE,
)
_LEAST_VARIETY = 6


def find_secrets(text: str) -> list[Hit]:
    """Find secrets and what may be some.

    Args:
        text: A whole file.

    Returns:
        At most one hit a line and kind, in the order of the lines, at most `MAX_HITS`. `SECRET_FOUND` is a secret that has
        the form of its provider; `SECRET_SUSPECT` is a placeholder of that form, or a value that looks random beside a
        name that sounds secret.
    """
    plain = text if text.isascii() else _UNSEEN.sub("", text)
    folded = _folded(plain)
    hits: dict[tuple[int, str], Hit] = {}
    for found, code, kind in (*_by_provider(plain, folded), *_private_keys(plain), *_urls(plain, folded)):
        _note(hits, plain, found, code, kind)
    told = {line for line, _ in hits}
    for found, code, kind in _assigned(plain, folded):
        if _line(plain, found) not in told:
            _note(hits, plain, found, code, kind)
    # What keeps the file out must not be pushed over the bound by what only looks like it.
    kept = sorted(hits.values(), key=lambda hit: (hit.code != _FOUND, hit.line, hit.detail))[:MAX_HITS]
    return sorted(kept, key=lambda hit: (hit.line, hit.detail))


def _by_provider(plain: str, folded: str) -> Iterator[tuple[int, str, str]]:
    # A secret is one long word. Keywords are looked for in the long words alone: of most texts that is a small part.
    dense = "\n".join([word for word in plain.split() if len(word) >= _LEAST_CHARS])
    # A single character is found so much faster than a word that most words need not be looked for.
    absent = {mark for mark in _MARKS if mark not in dense}
    for provider in PROVIDERS:
        searched, missing = (folded, frozenset()) if provider.folded else (dense, absent)
        if any(missing.isdisjoint(keyword) and keyword in searched for keyword in provider.keywords):
            for match in provider.pattern.finditer(plain):
                if not provider.alone or not _continues_word(plain, match.start(1)):
                    yield match.start(1), _SUSPECT if _is_placeholder(match[1]) else _FOUND, provider.name


def _private_keys(plain: str) -> Iterator[tuple[int, str, str]]:
    if "PRIVATE KEY" not in plain:
        return
    for match in _PRIVATE_KEY.finditer(plain):
        # Only one with a body: texts about keys show the header alone.
        body = _KEY_NOISE.sub("", plain[match.end() : match.end() + _KEY_WINDOW])
        key = _KEY_BODY.match(body)
        if key is not None:
            yield match.start(), _SUSPECT if _is_placeholder(key[0]) else _FOUND, "private key"


def _urls(plain: str, folded: str) -> Iterator[tuple[int, str, str]]:
    for at in _places(folded, "://"):
        match = _AUTHORITY.match(plain, at + len("://"))
        if match is None or _SCHEME.search(folded[max(0, at - _SCHEME_CHARS) : at]) is None:
            continue
        password, host = match[1], match[2]
        harmless = password.lower() in _WEAK or password.startswith(("$", "{", "%", "[")) or _HOME.fullmatch(host)
        code = _SUSPECT if harmless or _is_placeholder(password, variety=3) else _FOUND
        yield at, code, "password in a URL"


def _assigned(plain: str, folded: str) -> Iterator[tuple[int, str, str]]:
    for name in _NAMES_OF_SECRETS:
        for at in _places(folded, name):
            match = _ASSIGNED.match(plain, at + len(name))
            if match is not None and _looks_random(match[1]):
                yield at, _SUSPECT, "assignment"


def _looks_random(value: str) -> bool:
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return mixed and not _is_placeholder(value) and _entropy(value) >= _LEAST_ENTROPY and "://" not in value


def _places(text: str, word: str) -> Iterator[int]:
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)


def _continues_word(plain: str, at: int) -> bool:
    before = plain[at - 1] if at else " "
    return before.isascii() and (before.isalnum() or before in "_/+-")


def _folded(plain: str) -> str:
    """Return the text in lower case, each character at its place: a few letters are longer in lower case."""
    folded = plain.lower()
    return folded if len(folded) == len(plain) else "".join(char.lower() if char.isascii() else char for char in plain)


def _is_placeholder(secret: str, *, variety: int = _LEAST_VARIETY) -> bool:
    return len(set(secret[-24:])) < variety or _PLACEHOLDER.search(secret) is not None


def _entropy(value: str) -> float:
    """Shannon's entropy, in bits a character."""
    shares = [value.count(char) / len(value) for char in set(value)]
    return -sum(share * math.log2(share) for share in shares)


def _note(hits: dict[tuple[int, str], Hit], plain: str, at: int, code: str, kind: str) -> None:
    line = _line(plain, at)
    known = hits.get((line, kind))
    if known is None or (known.code == _SUSPECT and code == _FOUND):
        hits[line, kind] = Hit(code=code, line=line, detail=kind)


def _line(plain: str, at: int) -> int:
    return plain.count("\n", 0, at) + 1
