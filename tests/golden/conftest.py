"""Options of the golden runner: `--golden-dir DIR`, `--partial-dir DIR` and `--golden-report FILE.json`."""

import json
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHIPPED = HERE / "data"
# The everyday run takes these, which hold every family; CI and `make golden` take all of `data`.
EVERYDAY = (
    "dat.bcg", "dat.bcg.bayes", "dat.berkey1998", "dat.craft2003", "dat.konstantopoulos2011", "synthetic_a",
)  # fmt: skip
sys.path.insert(0, str(HERE))  # golden_adapters lives beside the tests


def pytest_addoption(parser):
    parser.addoption("--golden-dir", type=Path, help="run every case of every golden file in this directory")
    parser.addoption("--partial-dir", type=Path, help="run every case of partial evidence in this directory")
    parser.addoption("--golden-family", help="only families whose name begins so, several joined by commas")
    parser.addoption("--golden-report", type=Path, help="write cases, passed, failed, ... per family to this file")


def pytest_generate_tests(metafunc):
    """One test per family of the directory given, or of the everyday files."""
    chosen = metafunc.config.getoption("golden_dir", None)
    for name, directory in (("golden_cases", chosen), ("shipped_cases", None)):
        if name in metafunc.fixturenames:
            families = _by_family(directory)
            only = metafunc.config.getoption("golden_family", None)
            if only:
                families = {name: cases for name, cases in families.items() if name.startswith(tuple(only.split(",")))}
            metafunc.parametrize(name, [families[family] for family in sorted(families)], ids=sorted(families))

    if "partial_case" in metafunc.fixturenames:
        from golden_adapters.partial import read_cases

        cases = read_cases(metafunc.config.getoption("partial_dir", None) or SHIPPED / "partial")
        metafunc.parametrize("partial_case", cases, ids=[case["id"] for case in cases])


@cache
def _by_family(directory):
    """All cases of a directory by family; of the everyday files when there is none."""
    from golden_adapters import read_cases

    families = defaultdict(list)
    for case in read_cases(directory or SHIPPED):
        if directory is not None or case.dataset in EVERYDAY:
            families[case.family].append(case)
    return families


@pytest.fixture
def everyday(request):
    """Whether the cases are our own, which must all pass; of others 98 % of a family must (issue 3)."""
    return request.config.getoption("golden_dir", None) is None


@pytest.fixture(scope="session")
def golden_report(request):
    """Collects the row of each family; written at the end of the session."""
    report = {}
    yield report
    target = request.config.getoption("golden_report", None)
    if target is not None:
        target.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
