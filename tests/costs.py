"""What a month of 30 days costs: how often each call is made, what it asks of the bucket and of Secret Manager, at list prices.

README's table is made here; `tests/test_costs.py` counts what the calls really ask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from shared.config import load_settings
from shared.puller.report import HEARTBEAT_SECONDS
from shared.setting_files import AGE_SECONDS

FUNCTIONS = Path(__file__).resolve().parents[1] / "infra" / "terraform" / "channel" / "functions.yaml"
DAYS, PUSHES = 30, 200
CHECKING_REGIONS = 6
"""An uptime check that names no regions is made from all of them: https://cloud.google.com/monitoring/uptime-checks"""
CHECK_MINUTES = 5
LOOK_BYTES = 600
"""An answer 304 with its headers, as it leaves Google."""
KEPT_SECRETS = ("GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY", "SIGNING_KEY", "PULLER_KEY_HASHES", "GITHUB_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: the function that serves it, for how many seconds (Google counts steps of 0.1), and what it asks of the bucket.

    `changing` are operations of class A (writes, listings), `reading` those of class B.
    """

    function: str
    seconds: float
    changing: int
    reading: int


CALLS = {
    "look": Call(function="release", seconds=0.1, changing=0, reading=1),
    "report": Call(function="release", seconds=0.2, changing=1, reading=1),
    "poll": Call(function="poll", seconds=1.0, changing=3, reading=8),
    "check": Call(function="status", seconds=0.2, changing=0, reading=3),
    "push": Call(function="webhook", seconds=2.0, changing=6, reading=3),
    "fetch": Call(function="release", seconds=0.2, changing=0, reading=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """So many are free in a month; from then on each costs so many dollars."""

    free: float
    each: float

    def of(self, amount: float) -> float:
        """What an amount costs, in dollars."""
        return max(0.0, amount - self.free) * self.each


# Sources: https://cloud.google.com/run/pricing, /storage/pricing, /secret-manager/pricing; region us-central1.
PRICES = {
    "Cloud Run, requests": Price(free=2_000_000, each=0.40 / 1_000_000),
    "Cloud Run, vCPU-seconds": Price(free=180_000, each=0.000024),
    "Cloud Run, GiB-seconds": Price(free=360_000, each=0.0000025),
    "Cloud Run, GB sent": Price(free=1, each=0.12),
    "Cloud Storage, writes and listings": Price(free=5_000, each=0.005 / 1_000),
    "Cloud Storage, reads": Price(free=50_000, each=0.0004 / 1_000),
    "Secret Manager, readings": Price(free=10_000, each=0.03 / 10_000),
    "Secret Manager, versions": Price(free=6, each=0.06),
}
UNIT = {
    "Cloud Run, requests": "$0.40 a million",
    "Cloud Run, vCPU-seconds": "$0.024 a thousand",
    "Cloud Run, GiB-seconds": "$0.0025 a thousand",
    "Cloud Run, GB sent": "$0.12",
    "Cloud Storage, writes and listings": "$0.005 a thousand",
    "Cloud Storage, reads": "$0.0004 a thousand",
    "Secret Manager, readings": "$0.03 for ten thousand",
    "Secret Manager, versions": "$0.06",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month with so many gateways, whose pullers look every so many seconds (the setting's default)."""

    gateways: int = 1
    look_seconds: float = field(default_factory=lambda: load_settings({}).pull_interval_seconds)

    def counts(self) -> dict[str, float]:
        """How often each call is made."""
        seconds, settings = DAYS * 24 * 3600, load_settings({})
        return {
            "look": self.gateways * seconds / self.look_seconds,
            "report": self.gateways * (seconds / HEARTBEAT_SECONDS + PUSHES),
            "poll": seconds / settings.polling_interval_seconds,
            "check": CHECKING_REGIONS * seconds / (60 * CHECK_MINUTES),
            "push": PUSHES,
            # The new pointer, the manifest and an archive.
            "fetch": 3 * self.gateways * PUSHES,
        }

    def amounts(self) -> dict[str, float]:
        """How much of each resource that takes."""
        counts = self.counts()
        busy = {name: count * CALLS[name].seconds for name, count in counts.items()}
        return {
            "Cloud Run, requests": sum(counts.values()),
            "Cloud Run, vCPU-seconds": sum(busy.values()),
            "Cloud Run, GiB-seconds": sum(gibibytes(CALLS[name].function) * took for name, took in busy.items()),
            "Cloud Run, GB sent": counts["look"] * LOOK_BYTES / 1e9,
            "Cloud Storage, writes and listings": sum(CALLS[name].changing * count for name, count in counts.items()),
            # A further gateway's report is one more that polls and checks read.
            "Cloud Storage, reads": sum(CALLS[name].reading * count for name, count in counts.items())
            + (self.gateways - 1) * (counts["poll"] + counts["check"]),
            "Secret Manager, readings": self._readings(counts),
            "Secret Manager, versions": float(len(KEPT_SECRETS)),
        }

    def _readings(self, counts: dict[str, float]) -> float:
        # One instance remembers a file; a release function that is asked all the time reads its files each time that ends.
        release = min(DAYS * 24 * 3600 / AGE_SECONDS, counts["look"]) * mounted("release")
        return release + sum(counts[name] * mounted(CALLS[name].function) for name in ("poll", "check", "push"))

    def costs(self) -> dict[str, float]:
        """What each resource costs, in dollars."""
        return {name: PRICES[name].of(amount) for name, amount in self.amounts().items()}

    @property
    def total(self) -> float:
        """All of it, in dollars."""
        return sum(self.costs().values())


def _described(function: str) -> dict[str, object]:
    described: dict[str, object] = yaml.CSafeLoader(FUNCTIONS.read_text()).get_single_data()["functions"][function]
    return described


def gibibytes(function: str) -> float:
    """How much memory an instance has."""
    text = str(_described(function)["memory"])
    return float(text.removesuffix("Gi")) if text.endswith("Gi") else float(text.removesuffix("Mi")) / 1024


def mounted(function: str) -> int:
    """How many of the secrets are mounted into a function."""
    secrets = _described(function)["secrets"]
    assert isinstance(secrets, list)
    return len(set(secrets) & set(KEPT_SECRETS))


def cost_table() -> str:
    """The table that README shows, in Markdown."""
    one, two = Month(), Month(gateways=2)
    rows = [
        "| resource | one gateway uses | free each month | beyond | one gateway | each further one |",
        "|---|---|---|---|---|---|",
    ]
    for name, amount in one.amounts().items():
        cost, more = one.costs()[name], two.costs()[name] - one.costs()[name]
        cells = (name, _amount(amount), _amount(PRICES[name].free), UNIT[name], _dollars(cost), _dollars(more))
        rows.append(f"| {' | '.join(cells)} |")
    rows.append(f"| **together** | | | | **{_dollars(one.total)}** | **{_dollars(two.total - one.total)}** |")
    return "\n".join(rows)


def _amount(amount: float) -> str:
    return f"{amount:,.2f}".rstrip("0").rstrip(".") if amount < 10 else f"{amount:,.0f}"


def _dollars(amount: float) -> str:
    return f"${amount:.2f}"


if __name__ == "__main__":
    print(cost_table())  # noqa: T201 - for README
    print(_dollars(Month(look_seconds=10).total))  # noqa: T201 - the same with nudges
