"""Options of the golden runner: `--golden-dir DIR` and `--golden-report FILE.json`."""

import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # golden_adapters lives beside the tests


def pytest_addoption(parser):
    parser.addoption("--golden-dir", type=Path, default=None, help="run every case of every golden file in this directory")
    parser.addoption("--golden-report", type=Path, default=None, help="write cases, passed, failed, ... per family to this file")


def pytest_generate_tests(metafunc):
    """One test per golden case when a directory is given, one per case of the shipped files otherwise."""
    if "golden_case" not in metafunc.fixturenames:
        return
    from golden_adapters import read_cases

    directory = metafunc.config.getoption("--golden-dir")
    cases = list(read_cases(directory or HERE / "data"))
    metafunc.parametrize("golden_case", cases, ids=[case.id for case in cases])


@pytest.fixture(scope="session")
def golden_directory(request):
    """The directory given on the command line, or None in the everyday run."""
    return request.config.getoption("--golden-dir")


@pytest.fixture(scope="session")
def golden_tally(request):
    """Collects verdicts and writes the report at the end."""
    tally: list = []
    yield tally
    target = request.config.getoption("--golden-report")
    if target is not None:
        target.write_text(json.dumps(summarise(tally), indent=1) + "\n")


def summarise(tally):
    """Counts per family, with every failure and every unsupported option by name."""
    report: dict = {}
    for case, verdict in tally:
        row = report.setdefault(
            case.family,
            {"cases": 0, "passed": 0, "failed": 0, "not_supported": 0, "left_out": 0, "worst_relative_error": 0.0,
             "worst_case": "", "waiting": {}, "failures": {}, "unanswered_fields": {}},
        )  # fmt: skip
        row["cases"] += verdict.outcome != "left out"
        row[verdict.outcome.replace(" ", "_")] += 1
        if verdict.outcome == "not supported":
            reason = verdict.reasons[0]
            row["waiting"][reason] = row["waiting"].get(reason, 0) + 1
        if verdict.outcome == "failed":
            row["failures"][case.id] = verdict.reasons
        for name in verdict.unanswered:
            row["unanswered_fields"][name] = row["unanswered_fields"].get(name, 0) + 1
        if verdict.outcome == "passed" and verdict.worst > row["worst_relative_error"]:
            row["worst_relative_error"], row["worst_case"] = verdict.worst, f"{case.id} {verdict.worst_field}"
    return report
