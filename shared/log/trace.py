"""Which trace a request belongs to, as its headers say and as Cloud Logging's fields name it. What is malformed is ignored.

Sources: https://www.w3.org/TR/trace-context/#traceparent-header
https://cloud.google.com/trace/docs/trace-context#legacy-http-header
https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields
"""

from __future__ import annotations

import re

TRACE = "logging.googleapis.com/trace"
SPAN = "logging.googleapis.com/spanId"
SAMPLED = "logging.googleapis.com/trace_sampled"

_W3C = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,400})?")
_GOOGLE = re.compile(r"([0-9a-fA-F]{32})(?:/([0-9]{1,20}))?(?:;o=([0-3]))?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_MAX_SPAN = (1 << 64) - 1


def trace_fields(*, traceparent: str | None, google: str | None, project: str | None) -> dict[str, object]:
    """Return the fields that tie a line to its trace; none when neither header names one.

    Args:
        traceparent: W3C's header; it counts first.
        google: `X-Cloud-Trace-Context`.
        project: The Google Cloud project. Without it the bare id is written, which Cloud Logging takes to be one of the
            project that receives the line.
    """
    found = _from_w3c(traceparent or "") or _from_google(google or "")
    if found is None:
        return {}
    trace, span, sampled = found
    fields: dict[str, object] = {TRACE: f"projects/{project}/traces/{trace}" if project else trace}
    if span is not None:
        fields[SPAN] = span
    if sampled is not None:
        fields[SAMPLED] = sampled
    return fields


def _from_w3c(header: str) -> tuple[str, str | None, bool | None] | None:
    match = _W3C.fullmatch(header)
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    # Version 00 ends behind the flags, later ones may go on, ff is none.
    if version == "ff" or (version == "00" and more) or trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return trace, span, bool(int(flags, 16) & 1)


def _from_google(header: str) -> tuple[str, str | None, bool | None] | None:
    match = _GOOGLE.fullmatch(header)
    if match is None or match[1] == _NO_TRACE or int(match[2] or 0) > _MAX_SPAN:
        return None
    # The header has the span in decimal, the field has it in hex.
    span = f"{int(match[2]):016x}" if int(match[2] or 0) else None
    return match[1].lower(), span, None if match[3] is None else bool(int(match[3]) & 1)
