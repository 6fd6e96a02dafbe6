from __future__ import annotations

import pytest

from shared.core.git_objects import blob_id


@pytest.mark.parametrize(
    ("data", "expected"),  # printed by `git hash-object --stdin`
    [
        (b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (b"what is up, doc?", "bd9dbf5aae1a3862dd1526723246b20206e5fc37"),
        (b"\0\xff\r\n", "00822ce7dfc6f27759b94e2c7dfd26f25afbac9d"),
    ],
)
def test_blob_id_is_what_git_calls_the_content(data: bytes, expected: str) -> None:
    assert blob_id(data) == expected
