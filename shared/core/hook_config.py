"""How the repository's webhook must be set, and in what a given one differs. Who reads and changes it is left to others.

Source: https://docs.github.com/en/rest/repos/webhooks
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATH = "/webhook/github"
EVENTS = ("push",)


def wanted(url: str, secret: str) -> dict[str, object]:
    """Return the whole webhook, as GitHub takes it.

    Args:
        url: Where it calls.
        secret: What its calls are signed with. GitHub forgets the one that it had where a change names none.
    """
    config = {"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret}
    return {"active": True, "events": list(EVENTS), "config": config}


def calling(hooks: Iterable[Mapping[str, object]], url: str) -> list[Mapping[str, object]]:
    """Return the webhooks that call this address; one with the same path on another host belongs to another service."""
    return [hook for hook in hooks if _address(_config(hook).get("url")) == _address(url)]


def differences(hook: Mapping[str, object], url: str) -> list[str]:
    """Name what of a webhook is not as it must be. Of its secret GitHub shows no more than that there is one."""
    config, events = _config(hook), hook.get("events")
    right = {
        "url": config.get("url") == url,
        "content_type": config.get("content_type") == "json",
        "insecure_ssl": str(config.get("insecure_ssl")) == "0",
        "secret": bool(config.get("secret")),
        "events": isinstance(events, list) and sorted(map(str, events)) == sorted(EVENTS),
        "active": hook.get("active") is True,
    }
    return [name for name, holds in right.items() if not holds]


def _config(hook: Mapping[str, object]) -> Mapping[str, object]:
    config = hook.get("config")
    return config if isinstance(config, dict) else {}


def _address(url: object) -> tuple[str, str, str] | None:
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return None
    return parts.scheme.lower(), parts.netloc.lower(), parts.path.rstrip("/")
