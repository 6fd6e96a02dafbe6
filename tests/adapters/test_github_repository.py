"""Which addresses are derived from the API's, and which API addresses are refused."""

from __future__ import annotations

import pytest

from shared.adapters.github_repository import Repository, origin_of
from shared.errors import ConfigError


def repository(api_url: str, owner: str = "octo", name: str = "skills") -> Repository:
    return Repository(api_url=api_url, owner=owner, name=name)


@pytest.mark.parametrize(
    ("api_url", "git_url", "origins"),
    [
        (
            "https://api.github.com",
            "https://github.com/octo/skills.git",
            {"https://codeload.github.com", "https://github.com"},
        ),
        (
            "https://api.github.com/",
            "https://github.com/octo/skills.git",
            {"https://codeload.github.com", "https://github.com"},
        ),
        (
            "https://api.octo.ghe.com",
            "https://octo.ghe.com/octo/skills.git",
            {"https://codeload.octo.ghe.com", "https://octo.ghe.com"},
        ),
        (
            "https://git.example.com/api/v3",
            "https://git.example.com/octo/skills.git",
            {"https://codeload.git.example.com", "https://git.example.com"},
        ),
        (
            "https://api.example.com:8443/api/v3/",
            "https://api.example.com:8443/octo/skills.git",
            {"https://codeload.api.example.com:8443", "https://api.example.com:8443"},
        ),
        (
            "http://127.0.0.1:8081/api/v3",
            "http://127.0.0.1:8081/octo/skills.git",
            {"http://codeload.127.0.0.1:8081", "http://127.0.0.1:8081"},
        ),
        (
            "http://[::1]:8081/api/v3",
            "http://[::1]:8081/octo/skills.git",
            {"http://codeload.[::1]:8081", "http://[::1]:8081"},
        ),
        (
            "http://localhost",
            "http://localhost/octo/skills.git",
            {"http://codeload.localhost", "http://localhost"},
        ),
    ],
)
def test_git_and_download_addresses_follow_from_the_api(api_url: str, git_url: str, origins: set[str]) -> None:
    found = repository(api_url)
    assert (found.git_url, found.download_origins) == (git_url, origins)


def test_the_api_is_asked_below_its_own_address() -> None:
    assert repository("https://h.example/api/v3/").rest_url == "https://h.example/api/v3/repos/octo/skills"


@pytest.mark.parametrize(
    "api_url",
    [
        "",
        "api.github.com",
        "http://api.github.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1/api/v3",
        "ftp://api.github.com",
        "https://",
        "https:///api/v3",
        "https://user:hunter2@api.github.com",
        "https://api.github.com?x=hunter2",
        "https://api.github.com#hunter2",
        "https://api.github.com/graphql",
        "https://api.github.com/api/v3/repos",
        "https://api.github.com:port",
        "https://api.github.com:99999",
        "https://api.github.com:0",
        "https://[::1",
        "https://api.github.com\\@evil.example",
        "https://api.github.com\n",
        "https://api. github.com",
        "https://ápi.github.com",
    ],
)
def test_other_api_addresses_are_refused_unquoted(api_url: str) -> None:
    with pytest.raises(ConfigError, match="GITHUB_API_URL_INVALID") as caught:
        repository(api_url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("owner", "name"),
    [("", "x"), ("x", ""), ("..", "x"), ("x", "."), ("a/b", "x"), ("x", "a?b"), ("x", "a b"), ("é", "x"), ("x", "y\n")],
)
def test_names_that_would_lead_elsewhere_are_refused(owner: str, name: str) -> None:
    with pytest.raises(ConfigError, match="GITHUB_REPO_INVALID"):
        repository("https://api.github.com", owner, name)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://codeload.github.com/o/n/x?token=1", "https://codeload.github.com"),
        ("https://CODELOAD.github.com:443/o", "https://codeload.github.com"),
        ("http://127.0.0.1:81/x", "http://127.0.0.1:81"),
        ("https://[::1]:81/x", "https://[::1]:81"),
        ("https://codeload.github.com:444/o", "https://codeload.github.com:444"),
        ("http://codeload.github.com/o", "http://codeload.github.com"),
        ("https://x@codeload.github.com/o", None),
        ("https://codeload.github.com\\@evil.example/", None),
        ("//codeload.github.com/o", None),
        ("/o", None),
        ("", None),
        ("file:///etc/passwd", None),
        ("https://codeload.github.com:x/", None),
    ],
)
def test_an_origin_is_told_only_of_an_address_without_tricks(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin
