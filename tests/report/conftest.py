"""`workshop` lies in tests/plan and is shared by four folders."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "plan"))


@pytest.fixture(scope="session")
def crying():
    """The flagship, run once without the sampler."""
    from workshop import flagship

    return flagship()
