"""`catharsis run` and `catharsis report`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from catharsis.cli.output import tell
from catharsis.errors import At, InputError, InputErrors


def make(folder: Path, out: Path | None, *, sample: bool, force: bool, show: str) -> int:
    """Run an analysis unless nothing changed, write the report, and print one line per outcome.

    Returns
    -------
    int
        0 done, 3 finished but not reportable.
    """
    from catharsis.plan.inputs import input_hash
    from catharsis.plan.spec import read_plan
    from catharsis.report.exchange import clear_leavings
    from catharsis.report.manifest import refuse_foreign, unchanged

    plan = read_plan(folder)
    target = out or Path("reports") / plan.name
    refuse_foreign(target)
    clear_leavings(target)
    digest = input_hash(plan, sample and plan.file.bayes.sample)
    manifest = None if force else unchanged(target, digest)
    if manifest is None:
        from catharsis.plan.run import run_plan
        from catharsis.report.write import write

        with _Steps(len(plan.file.syntheses) + 2) as steps:
            results = run_plan(read_plan(folder), sample=sample and plan.file.bayes.sample, progress=steps.say)
            if results.input_hash != digest:  # the table was saved meanwhile: old numbers would bear the new hash
                raise InputErrors([_moved(folder)])
            steps.say("writing")
            manifest = write(results, target)
    else:
        tell(f"{target}: nothing changed since the last run")
    return _finish(manifest, target, show)


def _moved(folder: Path) -> InputError:
    return InputError(
        At(folder.as_posix()),
        "an input was changed while the results were computed",
        "they would belong to neither version",
        "run again",
        "moved-input",
    )


def _finish(manifest: dict[str, Any], target: Path, show: str) -> int:
    for line in manifest["lines"]:
        tell(line)
    tell(str(target / show))
    if not manifest["reportable"]:
        tell("not reportable: " + "; ".join(manifest["problems"]))
        return 3
    return 0


class _Steps:
    """A progress line on a terminal, one plain line per step elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.count = total, 0

    def __enter__(self) -> _Steps:
        if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
            from rich.progress import Progress

            self.bar: Any = Progress(transient=True)
            self.bar.start()
            self.task = self.bar.add_task("reading", total=self.total)
        else:
            self.bar = None
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, step: str) -> None:
        """Name the step that begins."""
        self.count += 1
        if self.bar is not None:
            self.bar.update(self.task, advance=1, description=step)
        else:
            sys.stderr.write(f"[{self.count}/{self.total}] {step}\n")
