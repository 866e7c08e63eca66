"""A file on the web that a study reads: its address, and what its content must be."""

from __future__ import annotations

from pydantic import Field

from instruct_scaling.config.identity import execution_field
from instruct_scaling.config.section import Strict


class WebFile(Strict):
    """Where a file is on the web, and which content it must have."""

    url: str = Field(pattern=r"^https?://", examples=["https://example.org/data.jsonl"])
    """Address of the file, best one that names a commit or a release."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", examples=["0123456789abcdef" * 4])
    """SHA-256 of the file: other content is refused, so the same config always means the same
    data."""
    license: str | None = Field(None, min_length=1)
    """License of the data, as the audit and the report state it."""
    bytes: int | None = execution_field(None, gt=0)
    """Size of the file, for the list that `prefetch` prints before it fetches."""
