"""How the tests are spread: two processes, one when the golden runner writes its report."""

from __future__ import annotations

import os

import pytest

# two processes on two cores: matrices here are small, and threads of BLAS would only fight for the cores
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """`-n auto` means two, the size of the machines we promise three minutes on."""
    return 0 if config.getoption("golden_report", None) else 2
