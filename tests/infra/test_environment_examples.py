"""The examples of an environment hold every setting of their side, as the settings are now."""

from __future__ import annotations

import pytest

from shared.config import load_settings
from shared.errors import ConfigError
from tests.tables import INFRA, NEEDED, environment_example


@pytest.mark.parametrize("side", sorted(NEEDED))
def test_the_example_is_as_the_settings_are(side: str) -> None:
    assert (INFRA / f"{side}.env.example").read_text() == environment_example(side)


@pytest.mark.parametrize("side", sorted(NEEDED))
def test_an_example_that_nobody_filled_in_is_refused_with_every_missing_name(side: str) -> None:
    lines = (INFRA / f"{side}.env.example").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    empty = [name for name, value in pairs.items() if not value]
    with pytest.raises(ConfigError) as raised:
        load_settings(pairs).need(*NEEDED[side])
    assert raised.value.code == "CONFIG_MISSING"
    assert [name for name in empty if name not in raised.value.message] == []
    assert empty


@pytest.mark.parametrize("side", sorted(NEEDED))
def test_the_defaults_that_an_example_shows_are_ones_that_are_read(side: str) -> None:
    lines = (INFRA / f"{side}.env.example").read_text().splitlines()
    shown = dict(line.lstrip("#").split("=", 1) for line in lines if line and not line.startswith("# "))
    assert load_settings(shown) == load_settings({})
