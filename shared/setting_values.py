"""How the text of a setting becomes a value: one small function a form. Each raises ValueError, saying what was expected."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from shared.core.rules import ValidationPolicy, VersionPolicy

MAX_SECRETS = 2
LEAST_SECRET_CHARS = 32
MAX_URLS = 50
GRAPH_SCHEMES = ("neo4j+s", "neo4j+ssc", "neo4j", "bolt+s", "bolt+ssc", "bolt")
MAX_ALERT_URLS = 20
# As apprise itself tells them apart: commas may also stand inside of one.
_BETWEEN_ALERT_URLS = re.compile(r"[\s,;]+(?=[a-z0-9]{1,32}://)", re.IGNORECASE)
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n[^-]*\n-----END \1-----")
_QUEUE = re.compile(r"projects/[a-zA-Z0-9:.-]+/locations/[a-z0-9-]+/queues/[a-zA-Z0-9-]{1,100}")
_SERVICE_ACCOUNT = re.compile(r"[a-z0-9.-]{1,100}@[a-z0-9.:-]{1,100}\.gserviceaccount\.com")
_WORKFLOW = re.compile(r"\.github/workflows/[^/\s@]{1,100}\.ya?ml")
_ALERT_URL = re.compile(r"[a-z0-9]{1,32}://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)


def text(value: str) -> str:
    """Take the text as it is."""
    return value


def positive_int(value: str) -> int:
    """Read a whole number of at least 1."""
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError("a whole number of at least 1")
    return int(value)


def positive_seconds(value: str) -> float:
    """Read a number of seconds above 0."""
    if not 0 < float(value) < float("inf"):
        raise ValueError("a number above 0")
    return float(value)


def minutes(value: str) -> float:
    """Read a number of minutes above 0, as seconds."""
    return 60 * positive_seconds(value)


def secrets(value: str) -> tuple[str, ...]:
    """Read one shared secret, or two while it is rotated: one a line, newest first."""
    found = tuple(line.strip() for line in value.splitlines() if line.strip())
    if len(found) > MAX_SECRETS:
        raise ValueError(f"at most {MAX_SECRETS} values, one a line, newest first")
    if any(len(line) < LEAST_SECRET_CHARS or any(char.isspace() for char in line) for line in found):
        raise ValueError(f"values of at least {LEAST_SECRET_CHARS} characters without blanks inside")
    return found


def one_or_two(value: str) -> tuple[str, ...]:
    """Read a value, or two while it is replaced: one a line, newest first.

    What form it must have is known to whom it is for: this takes what other systems made.
    """
    found = lines(value)
    if len(found) > MAX_SECRETS:
        raise ValueError(f"at most {MAX_SECRETS} values, one a line, newest first")
    return found


def tokens(value: str) -> tuple[str, ...]:
    """Read one token, or two while it is rotated: one a line, newest first. How long one must be is its issuer's business."""
    found = one_or_two(value)
    if any(char.isspace() for line in found for char in line):
        raise ValueError("values without blanks inside, one a line, newest first")
    return found


def lines(value: str) -> tuple[str, ...]:
    """Read lines, without the empty ones."""
    return tuple(line.strip() for line in value.splitlines() if line.strip())


def web_urls(value: str) -> tuple[str, ...]:
    """Read addresses on the web, with commas between or one a line; each counts once."""
    found = tuple(dict.fromkeys(part.strip() for part in value.replace(",", "\n").splitlines() if part.strip()))
    if len(found) > MAX_URLS or not all(_is_web_url(part) for part in found):
        raise ValueError(f"at most {MAX_URLS} addresses such as https://HOST/nudge, without user and fragment")
    return found


def issuer(value: str) -> str:
    """Read the address of an issuer of tokens. Its keys are believed, so nobody on the way may change them."""
    url = value.strip().rstrip("/")
    if not _is_private_way(url):
        raise ValueError("an address such as https://HOST/PATH, without user, query and fragment")
    return url


def poll_url(value: str) -> str:
    """Read the address of the poll. A token goes there, so nobody on the way may read it."""
    url = value.strip()
    if not _is_private_way(url) or urlsplit(url).path != "/api/poll":
        raise ValueError("an address such as https://HOST/api/poll, without user, query and fragment")
    return url


def task_queue(value: str) -> str:
    """Read the whole name of a queue of Cloud Tasks."""
    if not _QUEUE.fullmatch(value.strip()):
        raise ValueError("a name such as projects/PROJECT/locations/REGION/queues/NAME")
    return value.strip()


def service_account(value: str) -> str:
    """Read the address of a service account of Google's."""
    if not _SERVICE_ACCOUNT.fullmatch(value.strip()):
        raise ValueError("an address such as NAME@PROJECT.iam.gserviceaccount.com")
    return value.strip()


def workflow(value: str) -> str:
    """Read the path of a workflow's file."""
    if not _WORKFLOW.fullmatch(value):
        raise ValueError("a path such as .github/workflows/NAME.yml")
    return value


def repository_id(value: str) -> str:
    """Read the number of a repository."""
    return str(positive_int(value))


def web_url(value: str) -> str:
    """Read one address on the web."""
    if not _is_web_url(value.strip()):
        raise ValueError("one address such as https://HOST/PATH, without user and fragment")
    return value.strip()


def alert_urls(value: str) -> tuple[str, ...]:
    """Read addresses for alerts, one a line or with commas between; each counts once.

    Only their form is checked here, as every call reads the settings and few send an alert. Which services there are is known
    to what sends them: it logs the number of one that it does not know.
    """
    parts = (part.strip(" \t\r\n,;") for part in _BETWEEN_ALERT_URLS.split(value))
    found = tuple(dict.fromkeys(part for part in parts if part))
    odd = [str(number) for number, part in enumerate(found, start=1) if not _ALERT_URL.fullmatch(part)]
    if odd:
        raise ValueError(f"addresses such as json://HOST/PATH, one a line (number {', '.join(odd[:9])} is none)")
    if len(found) > MAX_ALERT_URLS:
        raise ValueError(f"at most {MAX_ALERT_URLS} addresses")
    return found


def _is_web_url(text: str) -> bool:
    plain = text.isascii() and text.isprintable() and " " not in text
    try:
        parts = urlsplit(text)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, or a bracket too few
        return False
    return plain and named and "@" not in parts.netloc and "#" not in text


def _is_private_way(url: str) -> bool:
    loopback = url.startswith(("http://127.0.0.1:", "http://localhost:"))
    return _is_web_url(url) and (url.startswith("https://") or loopback) and "?" not in url


def layouts(value: str) -> tuple[str, ...]:
    """Read a list with commas of the layouts that the volume gets."""
    found = tuple(part.strip() for part in value.split(","))
    if not found or any(part not in {"tree", "flat"} for part in found):
        raise ValueError("tree, flat, or both with a comma between")
    return found


def drift(value: str) -> str:
    """Read what becomes of installed files that somebody changed."""
    if value not in {"repair", "report"}:
        raise ValueError("repair or report")
    return value


def pems(value: str) -> tuple[str, ...]:
    r"""Read one PEM block, or two while it is rotated, newest first; `\n` may stand for the ends of lines.

    A block that was cut is refused, not left out: else the older key would be used, and nobody told.
    """
    plain = "\n".join(line.strip() for line in value.replace("\\r", "").replace("\\n", "\n").strip().splitlines())
    found = tuple(block[0] for block in _PEM_BLOCK.finditer(plain))
    whole = 1 <= len(found) <= MAX_SECRETS and "---" not in _PEM_BLOCK.sub("", plain)
    if plain and not whole:
        raise ValueError(
            f"one private key in PEM, or {MAX_SECRETS}, newest first, each from its BEGIN line to its END line"
        )
    return found


def poll_auth(value: str) -> str:
    """Read who may poll."""
    if value not in {"api_key", "iam"}:
        raise ValueError("api_key or iam")
    return value


def root(value: str) -> str:
    """Read a folder of the repository; empty for all of it."""
    root = value.strip().strip("/")
    if any(part in {"", ".", ".."} for part in root.split("/")) and root:
        raise ValueError("a folder of the repository, such as skills")
    return root


def validation(value: str) -> ValidationPolicy:
    """Read the validation policy."""
    return ValidationPolicy(value)


def version(value: str) -> VersionPolicy:
    """Read the version policy."""
    return VersionPolicy(value)


def graph_url(value: str) -> str:
    """Parse the address of a Neo4j server."""
    scheme, _, rest = value.strip().partition("://")
    try:
        host = urlsplit(f"//{rest}").hostname
    except ValueError:  # a bracket too few
        host = None
    if scheme not in GRAPH_SCHEMES or not host or "@" in rest:
        raise ValueError(f"{', '.join(GRAPH_SCHEMES)} followed by ://HOST, without user and password")
    return value.strip()
