"""Which real Neo4j server the tests use: the one that is named, one from fetched artifacts, one from an image, or none.

Without any, a developer's tests are skipped and say so; under CI they fail, so that they never vanish unseen.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
JARS = ROOT / ".venv" / "neo4j"
POM = Path(__file__).with_name("pom.xml")
# Neo4j 5 asks for Java 17 or 21: https://neo4j.com/docs/operations-manual/5/installation/requirements/
OLDEST_JAVA = 17
LOOK_SECONDS = 20.0
NONE = (
    "no Neo4j server for the tests: name one of this machine that they may empty (NEO4J_TEST_URI, NEO4J_TEST_USER, "
    "NEO4J_TEST_PASSWORD), or install Java 17 and Maven and run `make test`, or let docker run"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is.

    Args:
        uri: The server that is named, or nothing.
        java: Java's major version; 0 without Java.
        jars: Whether the artifacts are fetched.
        docker: Whether docker answers.
        ci: Whether this is a CI run.
    """

    uri: str = ""
    java: int = 0
    jars: bool = False
    docker: bool = False
    ci: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """Use the server that is named."""

    uri: str


@dataclass(frozen=True, slots=True)
class FromJars:
    """Start one from the artifacts."""


@dataclass(frozen=True, slots=True)
class FromImage:
    """Start one from the official image."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is none.

    Args:
        reason: Why, for the developer.
        fails: Whether the tests fail instead of being skipped.
    """

    reason: str
    fails: bool


Choice = Given | FromJars | FromImage | Nothing


def choose(facts: Facts, *, ours: bool = False) -> Choice:
    """Choose the server.

    Args:
        facts: What there is.
        ours: Whether it must be one that we start, because the test stops it.
    """
    if facts.uri and not ours:
        if not _is_loopback(facts.uri):
            return Nothing(f"NEO4J_TEST_URI is {facts.uri}, but tests only empty a server of this machine", fails=True)
        return Given(facts.uri)
    if facts.jars and facts.java >= OLDEST_JAVA:
        return FromJars()
    if facts.docker:
        return FromImage()
    return Nothing(NONE, fails=facts.ci)


def look() -> Facts:
    """Look around on this machine."""
    return Facts(
        uri=os.environ.get("NEO4J_TEST_URI", ""),
        java=_java_version(),
        jars=JARS.is_dir(),
        docker=_runs("docker", "info"),
        ci=bool(os.environ.get("CI")),
    )


def java_command() -> str:
    """The Java of JAVA_HOME, as Maven has it, or the one on the path."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def image() -> str:
    """The official image of the same version as the artifacts."""
    found = re.search(r"<neo4j\.version>(.+?)<", POM.read_text())
    assert found, POM
    return f"neo4j:{found[1]}-community"


def major_version(told: str) -> int:
    """Read Java's major version from what `java -version` tells; 0 if it is not there, 1 for what is older than 9."""
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def _java_version() -> int:
    if not shutil.which(java_command()):
        return 0
    run = subprocess.run(
        [java_command(), "-version"], capture_output=True, text=True, check=False, timeout=LOOK_SECONDS
    )
    return major_version(run.stderr)


def _runs(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    try:
        return not subprocess.run(command, capture_output=True, check=False, timeout=LOOK_SECONDS).returncode
    except subprocess.TimeoutExpired:
        return False


def _is_loopback(uri: str) -> bool:
    host = urlsplit(uri).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
