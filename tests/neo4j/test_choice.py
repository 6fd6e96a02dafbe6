from __future__ import annotations

import pytest

from tests.neo4j.choice import Facts, FromImage, FromJars, Given, Nothing, choose, image, major_version

LOCAL = "bolt://localhost:7687"


def test_a_server_that_is_named_is_used_before_any_other() -> None:
    assert choose(Facts(uri=LOCAL, java=17, jars=True, docker=True)) == Given(LOCAL)


def test_a_test_that_stops_its_server_never_stops_one_that_is_named() -> None:
    assert choose(Facts(uri=LOCAL, java=17, jars=True), ours=True) == FromJars()
    assert choose(Facts(uri=LOCAL, docker=True), ours=True) == FromImage()


@pytest.mark.parametrize("uri", ["bolt://127.0.0.1:1", "bolt://[::1]:7687", "bolt://localhost"])
def test_a_server_of_this_machine_may_be_named(uri: str) -> None:
    assert choose(Facts(uri=uri)) == Given(uri)


@pytest.mark.parametrize("uri", ["neo4j+s://x.example.com", "bolt://192.0.2.1:7687", "nonsense"])
@pytest.mark.parametrize("ci", [True, False])
def test_a_server_elsewhere_is_refused_because_tests_empty_it(uri: str, *, ci: bool) -> None:
    choice = choose(Facts(uri=uri, java=17, jars=True, ci=ci))
    assert isinstance(choice, Nothing)
    assert choice.fails
    assert uri in choice.reason


def test_the_artifacts_are_preferred_to_the_image() -> None:
    assert choose(Facts(java=21, jars=True, docker=True)) == FromJars()


@pytest.mark.parametrize(
    "facts", [Facts(docker=True), Facts(java=17, docker=True), Facts(java=11, jars=True, docker=True)]
)
def test_without_artifacts_or_a_java_for_them_the_image_is_used(facts: Facts) -> None:
    assert choose(facts) == FromImage()


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("has", [{}, {"java": 17}, {"jars": True}, {"java": 11, "jars": True}])
def test_without_any_server_tests_are_skipped_here_and_fail_in_ci(has: dict[str, int], *, ours: bool) -> None:
    for ci in (False, True):
        choice = choose(Facts(ci=ci, **has), ours=ours)  # type: ignore[arg-type]
        assert isinstance(choice, Nothing)
        assert choice.fails is ci
        assert "NEO4J_TEST_URI" in choice.reason


@pytest.mark.parametrize(
    ("told", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('java version "21" 2023-09-19 LTS', 21),
        ('java version "1.8.0_392"', 1),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", 0),
    ],
)
def test_the_version_of_java_is_read_as_it_tells_it(told: str, major: int) -> None:
    assert major_version(told) == major


def test_the_image_has_the_version_of_the_artifacts() -> None:
    assert image().startswith("neo4j:5.26.")
    assert image().endswith("-community")
