"""Users and passwords of the audit graph are paired so that a half-done change leaves what worked before."""

from __future__ import annotations

import pytest

from shared.core.logins import Login, logins

CASES = [
    (("b", "a"), ("pb", "pa"), [("b", "pb"), ("a", "pa")]),
    (("b", "a"), ("pa",), [("a", "pa")]),
    (("a",), ("pb", "pa"), [("a", "pb"), ("a", "pa")]),
    (("a",), ("pa",), [("a", "pa")]),
    (("b", "a"), ("p", "p"), [("b", "p"), ("a", "p")]),
    (("a", "a"), ("p", "p"), [("a", "p")]),
    (("a",), (), [("a", "")]),
    (("b", "a"), (), [("a", "")]),
]


@pytest.mark.parametrize(("users", "passwords", "expected"), CASES)
def test_users_and_passwords_are_paired_from_the_end(
    users: tuple[str, ...], passwords: tuple[str, ...], expected: list[tuple[str, str]]
) -> None:
    assert [(login.user, login.password) for login in logins(users, passwords)] == expected


def test_a_login_does_not_show_its_password() -> None:
    assert "hush" not in repr(Login(user="a", password="hush"))
