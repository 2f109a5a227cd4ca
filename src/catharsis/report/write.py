"""Write a report: everything is made in a folder beside the old one, then the two change places."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

from catharsis.files import refused
from catharsis.plan.record import record
from catharsis.plan.results import Results
from catharsis.report import drawings, tables
from catharsis.report.exchange import beside, exchange
from catharsis.report.figures.svg import STYLE, Sheet
from catharsis.report.labels import level_labels
from catharsis.report.manifest import MANIFEST, made_by_us, refuse_foreign
from catharsis.report.names import unique_names
from catharsis.report.page import page


def write(results: Results, folder: str | Path) -> dict[str, Any]:
    """Write page, results, tables, figures and posteriors: a reader finds the old report or the new one.

    Parameters
    ----------
    results : Results
        What an analysis found.
    folder : str or Path
        Where the report goes; an older report there is replaced as a whole, other files beside it are kept.

    Returns
    -------
    dict
        The manifest: hash of the inputs, hash of each file, one line per outcome, reportable or not.

    Raises
    ------
    CatharsisError
        When something else stands at `folder`, or it cannot be written to; what stood there is untouched.
    """
    refuse_foreign(Path(folder))
    target = Path(folder).resolve()  # a link stays a link, and what it points to is replaced
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with beside(target) as fresh:
            for name, text in texts(results).items():
                _put(fresh / name, text.encode(errors="backslashreplace"))  # a folder's name may be no text
            _posteriors(results, fresh)
            manifest = _manifest(results, fresh)
            _put(fresh / MANIFEST, _json(manifest).encode(errors="backslashreplace"))
            exchange(fresh, target, MANIFEST, made_by_us(target))
    except OSError as problem:
        raise refused(folder, problem) from None
    return manifest


def texts(results: Results) -> dict[str, str]:
    """Every text file of a report, by its path inside the folder."""
    labels = level_labels(results)
    names = file_names(results)
    found = {
        "index.html": page(results),
        "results.json": _json(record(results)),
        "tables/effects.csv": tables.effects_csv(results),
        "tables/estimates.csv": tables.estimates_csv(results),
        "tables/claims.csv": tables.claims_csv(results),
        "figures/evidence-map.svg": _alone(drawings.evidence_map(results)),
    }
    for result in results.syntheses:
        name = names[result.spec.id]
        if len(result.effects):
            found[f"tables/{name}.csv"] = tables.synthesis_csv(result)
            found[f"figures/{name}-forest.svg"] = _alone(drawings.forest(results, result))
        for what, sheet in (
            ("moderator", drawings.moderator(results, result, labels)), ("prior", drawings.before_after(result))
        ):  # fmt: skip
            if sheet is not None:
                found[f"figures/{name}-{what}.svg"] = _alone(sheet)
    for directions in results.directions:
        if directions.cells:
            found[f"figures/{names[directions.spec.id]}.svg"] = _alone(drawings.directions(results, directions, labels))
    return found


def _alone(sheet: Sheet) -> str:
    """A drawing with its own colours, for a file that stands alone."""
    from importlib import resources

    style = (resources.files("catharsis.report") / "templates" / "style.css").read_text(encoding="utf-8")
    figure_rules = [
        rule
        for rule in style.splitlines()
        if rule.startswith((".grid", ".ci", ".pool", ".pi", ".void", ".cell", ".up", ".band", "svg text", "svg ."))
    ]
    return str(sheet.svg(STYLE + "\n".join(figure_rules)))


def file_names(results: Results) -> dict[str, str]:
    """A file name for each synthesis and each count, apart from the report's own."""
    keys = [item.spec.id for item in results.syntheses] + [item.spec.id for item in results.directions]
    return unique_names(keys, ("effects", "estimates", "claims", "evidence-map"))


def _json(data: Any) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)  # the exchange flushes it


def _posteriors(results: Results, folder: Path) -> None:
    """The sampled posteriors as ArviZ files."""
    names = file_names(results)
    for result in results.syntheses:
        if result.nuts is None:
            continue
        path = folder / "posteriors" / f"{names[result.spec.id]}.nc"
        path.parent.mkdir(exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            groups = [g for g in result.nuts.to_inferencedata().groups() if not g.startswith("warmup")]
            result.nuts.to_inferencedata().to_netcdf(str(path), groups=groups)


def _manifest(results: Results, folder: Path) -> dict[str, Any]:
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {
        "inputs": results.input_hash,
        "files": files,
        "lines": outcome_lines(results),
        "reportable": results.reportable,
        "problems": list(results.problems),
    }


def outcome_lines(results: Results) -> list[str]:
    """One line per outcome for the terminal: k, estimate, interval, verdict."""
    from catharsis.report.prose import limits, value

    found = []
    for item in results.families:
        if not item.family.main:
            continue
        if item.headline is not None:
            estimate, low, high = item.headline.headline()
            measure = item.headline.effects.measure
            size = f"k = {item.headline.gate.k}, {value(measure, estimate, sign=True)} [{limits(measure, low, high)}]"
        else:
            size = "k = 0, no estimate"
        found.append(f"{item.family.label}: {size}. {item.sentence}")
    return found
