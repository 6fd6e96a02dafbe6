"""A person's browser, as far as the functions can tell: HTTP Basic, forms that are sent as they were shown."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.functions.cloud import API_KEY

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from tests.functions.cloud import Cloud

FORM = "application/x-www-form-urlencoded"


def basic(password: str = API_KEY, user: str = "anybody") -> dict[str, str]:
    """The header that a browser sends."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Page(HTMLParser):
    """What a page holds: its elements with their attributes, its text, and the one form that posts."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.status = answer.status_code
        self.headers = answer.headers
        self.source = answer.get_data(as_text=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.action = ""
        self.fields: list[tuple[str, str]] = []
        self._inside: list[str] = []
        self.feed(self.source)

    @property
    def text(self) -> str:
        """The text that is shown, blanks made single."""
        return " ".join(" ".join(self.words).split())

    def links(self) -> list[str]:
        """Where the page's links lead."""
        return [attributes["href"] for tag, attributes in self.elements if tag == "a"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._inside.append(tag)
        if tag == "form" and attributes.get("method") == "post":
            self.action = attributes["action"]
        if tag == "input" and attributes.get("type") == "hidden":
            self.fields.append((attributes["name"], attributes["value"]))

    def handle_data(self, data: str) -> None:
        if not self._inside or self._inside[-1] not in {"style", "script"}:
            self.words.append(data)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass


class Browser:
    """One person at the dashboard."""

    def __init__(self, cloud: Cloud, password: str = API_KEY) -> None:
        self._cloud = cloud
        self._password = password

    def get(self, path: str) -> Page:
        """Open a page."""
        return Page(self._cloud.call("dashboard", "GET", path, headers=basic(self._password)))

    def post(self, path: str, fields: list[tuple[str, str]], **headers: str) -> Page:
        """Send a form; `headers` with underscores for hyphens."""
        sent = {
            **basic(self._password),
            "Content-Type": FORM,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return Page(self._cloud.call("dashboard", "POST", path, data=urlencode(fields).encode(), headers=sent))

    def confirm(self, path: str) -> Page:
        """Open the page that asks, send its form as it stands, and follow to the page that tells how it ended."""
        asked = self.get(path)
        answer = self.post(asked.action, asked.fields, Sec_Fetch_Site="same-origin", Origin="null")
        assert answer.status == 303, answer.text
        return self.get(answer.headers["Location"])
