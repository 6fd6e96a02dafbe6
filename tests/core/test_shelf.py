"""Live and withheld skills stand in one order, and a page reads no more than it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.manifest import manifest_bytes
from shared.core.manifest_view import ManifestView
from shared.core.shelf import Shown, key_of, shelf
from shared.model import TreeId
from tests.core.samples import a_live_skill, a_manifest, a_withheld

VIEW = ManifestView(
    manifest_bytes(
        a_manifest(
            a_live_skill("alpha"),
            a_live_skill("beta"),
            a_live_skill("gamma"),
            withheld=(a_withheld("beta"), a_withheld("Ödland")),
        )
    )
)


@pytest.mark.parametrize(
    ("text", "shown", "after", "ids"),
    [
        ("", Shown.ALL, "", ["alpha", "beta", "gamma", "Ödland"]),
        ("", Shown.LIVE, "", ["alpha", "beta", "gamma"]),
        ("", Shown.WITHHELD, "", ["beta", "Ödland"]),
        ("MA", Shown.ALL, "", ["gamma"]),
        ("öd", Shown.ALL, "", ["Ödland"]),
        ("a", Shown.ALL, "alpha", ["beta", "gamma", "Ödland"]),
        ("", Shown.ALL, "zzz", ["Ödland"]),
        ("none", Shown.ALL, "", []),
    ],
)
def test_a_filter_lets_through_what_it_says(text: str, shown: Shown, after: str, ids: list[str]) -> None:
    found = shelf(VIEW, text=text, shown=shown, after=after, limit=10)
    assert [place.id for place in found.places] == ids
    assert (found.live, found.withheld, found.following) == (3, 2, None)


def test_a_page_tells_where_the_next_one_begins_until_all_were_shown() -> None:
    seen, after, pages = [], "", 0
    while True:
        found = shelf(VIEW, text="", shown=Shown.ALL, after=after, limit=3)
        seen += [place.id for place in found.places]
        pages += 1
        if found.following is None:
            break
        after = found.following
    assert (seen, pages, found.matching) == (["alpha", "beta", "gamma", "Ödland"], 2, 4)


def test_what_is_withheld_is_told_whatever_is_asked_for() -> None:
    found = shelf(VIEW, text="none", shown=Shown.LIVE, after="zzz", limit=3)
    assert ([item.id for item in found.held], found.places) == (["beta", "Ödland"], ())


def test_a_place_holds_what_is_live_and_what_is_withheld_of_a_skill() -> None:
    alpha, beta, _, other = shelf(VIEW, text="", shown=Shown.ALL, after="", limit=9).places
    assert alpha.live is not None
    assert alpha.withheld is None
    assert beta.live is not None
    assert beta.withheld is not None
    assert other.live is None


def test_a_key_stands_for_one_version_of_one_skill() -> None:
    one = a_withheld("a")
    others = [a_withheld("b"), replace(one, tree=TreeId("f" * 40)), replace(one, tree=None), a_withheld("\ud800")]
    assert len({key_of(item) for item in [one, *others]}) == 5
    assert key_of(one) == key_of(replace(one, findings=()))
