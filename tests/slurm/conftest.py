"""A cluster without accounting for each module of this folder that needs no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, missing, running
from tests.training.conftest import inputs, tokenizer  # noqa: F401  (fixtures)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a SLURM."""
    for item in items:
        if "tests/slurm/" in str(item.path):
            item.add_marker(pytest.mark.slurm)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster without accounting; tests that need it are skipped where none can be had."""
    if reason := missing():
        pytest.skip(reason)
    with running(wait=400) as cluster:  # another checkout's tests may have theirs
        yield cluster
