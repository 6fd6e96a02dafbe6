"""How git names content; reading trees and commits is the source's business."""

from __future__ import annotations

import hashlib

from shared.model import BlobId


def blob_id(data: bytes) -> BlobId:
    """Return git's hash of a file's content, as `git hash-object` prints it.

    SHA-1 names content here as the repository does; what protects it is the SHA-256 of archive and manifest.

    Args:
        data: The file's whole content.

    Returns:
        40 lower-case hex digits.

    Source:
        https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_object_storage
    """
    return BlobId(hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest())
