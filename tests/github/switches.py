"""What can be made to go wrong with the stand-in's API; webhooks have switches of their own (`DeliveryFaults`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class Switches:
    """All may be turned while it runs.

    Attributes:
        latency_seconds: How long each request takes on its way.
        refs_lag: So many reads of a branch head still show what it was before the last push.
        truncate_trees_above: Recursive listings are cut short behind so many entries; 0 never.
        expire_tarball_links: So many of the next links to an archive are dead.
        download_elsewhere: Links to archives lead to another origin, as a forged answer would.
        hooks_readable: Whether tokens may read the repository's webhooks.
        rate_remaining: How many REST requests the primary limit still allows.
        rate_reset_seconds: When it is renewed, from now.
        status: What the next `status_times` REST requests are answered, when `status_match` stands in their path.
        status_times: How many.
        status_match: A part of the path; empty for any.
        retry_after: What these answers say in `retry-after`, in seconds; 0 says nothing.
    """

    latency_seconds: float = 0.0
    refs_lag: int = 0
    truncate_trees_above: int = 0
    expire_tarball_links: int = 0
    download_elsewhere: bool = False
    hooks_readable: bool = True
    rate_remaining: int = 5000
    rate_reset_seconds: int = 3600
    status: int = 503
    status_times: int = 0
    status_match: str = ""
    retry_after: int = 0
