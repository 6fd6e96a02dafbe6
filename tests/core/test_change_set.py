"""What a rollback would change, read from what differs alone. The other ways are compared in `test_audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from shared.core.change_set import decided, rolled_back
from shared.core.decide import roll_back
from shared.core.manifest import manifest_bytes
from shared.core.manifest_view import ManifestView
from tests.core.samples import a_live_skill, a_manifest, a_withheld, commit

if TYPE_CHECKING:
    from shared.model import Manifest

IDS = ("a", "a-b", "b", "c", "d")


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    live = draw(
        st.dictionaries(st.sampled_from(IDS), st.tuples(st.integers(1, 3), st.sampled_from(["1.0.0", "2.0.0"])))
    )
    held = draw(st.dictionaries(st.sampled_from(IDS), st.none() | st.integers(1, 3)))
    return a_manifest(
        *(a_live_skill(key, tree, version=version) for key, (tree, version) in sorted(live.items())),
        withheld=tuple(a_withheld(key, tree) for key, tree in sorted(held.items())),
    )


@given(manifests(), manifests())
def test_what_a_rollback_would_change_is_what_the_rollback_decides(before: Manifest, target: Manifest) -> None:
    views = (ManifestView(manifest_bytes(before)), ManifestView(manifest_bytes(target)))
    expected = decided(roll_back(before, target, commit(9)), before.skills)
    assert rolled_back(*views, commit(9)) == expected
