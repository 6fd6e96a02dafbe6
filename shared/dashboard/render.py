"""Templates to bytes, and the headers that say what a browser may do with them: nothing but what the page itself brings.

Styles and script stand in the page, so that nothing else is asked for, and are named in the policy by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shared.dashboard.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGE = "shared.dashboard"


def page(template: str, view: object) -> bytes:
    """Render a page.

    Args:
        template: The template's file name.
        view: Its view model.
    """
    # What no encoding knows was made visible before; nothing is left that could fail here.
    return _environment().get_template(template).render(view=view).encode("utf-8", "backslashreplace")


@cache
def headers() -> Mapping[str, str]:
    """Return the headers of every page."""
    policy = {
        "default-src": "'none'",
        "style-src": _digest(_static("style.css")),
        "script-src": _digest(_static("page.js")),
        "img-src": "data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_shown,
    )
    # Both are ours and are named by digest: escaping would change them.
    made.globals["style"] = Markup(_static("style.css"))  # noqa: S704
    made.globals["script"] = Markup(_static("page.js"))  # noqa: S704
    return made


def _shown(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _static(name: str) -> str:
    return resources.files(_PACKAGE).joinpath("static", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
