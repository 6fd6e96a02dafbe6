"""How Google Cloud is reached from this process, as its environment says. Who may do what is left to Google."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA_HOST: Final = "metadata.google.internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleCloud:
    """Where the storage and the process's own credentials are.

    Attributes:
        emulator: Address of what stands in for the storage, which takes no credentials; None for the real one.
        tasks_emulator: The same for Cloud Tasks.
        metadata_host: Who hands out the tokens of the service account that the process runs as, with a port if need be;
            None where Google's library looks for credentials, as on a developer's machine.
    """

    emulator: str | None = None
    tasks_emulator: str | None = None
    metadata_host: str | None = None


def google_cloud_by(environment: Mapping[str, str]) -> GoogleCloud:
    """Read it from the variables that Google's own libraries read, and `CLOUD_TASKS_EMULATOR_HOST`, for which they have none.

    On Cloud Run (which sets `K_SERVICE`: https://cloud.google.com/run/docs/container-contract#env-vars) the metadata server
    hands out tokens, unless `GOOGLE_APPLICATION_CREDENTIALS` names a file.

    Args:
        environment: Usually `os.environ`.
    """
    asks_metadata = bool(environment.get("K_SERVICE")) and not environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    host = environment.get("GCE_METADATA_HOST") or METADATA_HOST
    return GoogleCloud(
        emulator=_address(environment.get("STORAGE_EMULATOR_HOST", "")),
        tasks_emulator=_address(environment.get("CLOUD_TASKS_EMULATOR_HOST", "")),
        metadata_host=host if asks_metadata else None,
    )


def _address(text: str) -> str | None:
    address = text.strip().rstrip("/")
    return f"http://{address}" if address and "://" not in address else address or None
