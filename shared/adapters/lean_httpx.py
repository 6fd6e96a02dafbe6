"""httpx without its own command line, which the package loads with itself wherever click, pygments and rich are there.

They are there for our commands; a function that starts for one call would pay for them with a fifth of its cold start.
"""

from __future__ import annotations

import sys

_COMMAND_LINE = "httpx._main"
# None makes the import fail, as it does where rich is not installed: httpx then does without.
_hidden = "httpx" not in sys.modules and sys.modules.setdefault(_COMMAND_LINE, None) is None  # type: ignore[arg-type]

import httpx  # noqa: E402 - it must find what stands above

if _hidden:
    del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
