"""How Google Cloud is reached, by the variables that Google's own libraries read."""

from __future__ import annotations

import pytest

from shared.core.google_cloud import GoogleCloud, google_cloud_by

ON_CLOUD_RUN = {"K_SERVICE": "skill-sync-webhook"}


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, GoogleCloud()),
        ({"K_SERVICE": "", "STORAGE_EMULATOR_HOST": ""}, GoogleCloud()),
        (ON_CLOUD_RUN, GoogleCloud(metadata_host="metadata.google.internal")),
        ({**ON_CLOUD_RUN, "GCE_METADATA_HOST": "127.0.0.1:9"}, GoogleCloud(metadata_host="127.0.0.1:9")),
        ({"GCE_METADATA_HOST": "127.0.0.1:9"}, GoogleCloud()),
        ({**ON_CLOUD_RUN, "GOOGLE_APPLICATION_CREDENTIALS": "/key.json"}, GoogleCloud()),
        ({"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9/"}, GoogleCloud(emulator="http://127.0.0.1:9")),
        ({"STORAGE_EMULATOR_HOST": "https://gcs.example "}, GoogleCloud(emulator="https://gcs.example")),
        ({"STORAGE_EMULATOR_HOST": "localhost:9"}, GoogleCloud(emulator="http://localhost:9")),
        ({"CLOUD_TASKS_EMULATOR_HOST": "localhost:9/"}, GoogleCloud(tasks_emulator="http://localhost:9")),
        (
            {"CLOUD_TASKS_EMULATOR_HOST": "http://h", "STORAGE_EMULATOR_HOST": ""},
            GoogleCloud(tasks_emulator="http://h"),
        ),
    ],
)
def test_what_the_environment_says_is_how_it_is_reached(environment: dict[str, str], found: GoogleCloud) -> None:
    assert google_cloud_by(environment) == found
