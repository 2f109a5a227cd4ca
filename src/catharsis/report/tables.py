"""Tables of the report and their CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from catharsis.plan.results import Results, SynthesisResult
from catharsis.report.labels import row_labels

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula; numbers stay numbers.

    Examples
    --------
    >>> harmless("=1+1"), harmless(-0.5)
    ("'=1+1", -0.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def to_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A CSV file as text."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else harmless(cell) for cell in row] for row in rows])
    return sheet.getvalue()


def effects_csv(results: Results) -> str:
    """Every effect with its cells and, per scale, its size."""
    frame = results.table.frame()
    header = [str(column) for column in frame.columns]
    scales = ("raw", "standardised", "correlation", "RR", "OR", "RD", "PLO")
    rows = []
    for row in results.table:
        sizes = results.sizes[row.id]
        extra: list[Any] = []
        for scale in scales:
            size = sizes.get(scale)
            extra += [size.yi, size.vi] if size else [None, None]
        rows.append([*(row.get(column) for column in header), *extra, str(row.at)])
    return to_csv([*header, *(f"{scale}_{part}" for scale in scales for part in ("yi", "vi")), "place"], rows)


def synthesis_csv(result: SynthesisResult) -> str:
    """The effects of one synthesis."""
    labels = row_labels(result)
    return to_csv(
        ["effect", "label", "cite", "yi", "vi", "measure", "route", "formula"],
        [
            [row.id, label, row.get("cite"), size.yi, size.vi, size.measure, size.route.name, size.route.formula]
            for row, label, size in zip(result.effects.rows, labels, result.effects.sizes, strict=True)
        ],
    )


def estimates_csv(results: Results) -> str:
    """Every coefficient of every fit, both schools."""
    rows: list[list[Any]] = []
    for result in results.syntheses:
        models = [result.fit, *(model for _, model in result.others)] if result.fit else []
        for model in models:
            if model is None:
                continue
            low, high = model.interval()
            for i, term in enumerate(model.design.terms):
                rows.append(
                    [
                        result.spec.id,
                        f"{model.method} {model.test}",
                        term,
                        model.beta[i],
                        model.se[i],
                        low[i],
                        high[i],
                        model.tau,
                    ]
                )
        for name, post in (("exact", result.exact), ("nuts", result.nuts)):
            if post is not None:
                rows += [
                    [result.spec.id, f"Bayes {name}", term, m.mean, m.sd, m.low, m.high, post.tau.median]
                    for term, m in post.coefficients.items()
                ]
    return to_csv(["synthesis", "fit", "term", "estimate", "se", "low", "high", "tau"], rows)


def claims_csv(results: Results) -> str:
    """The claims with their tallies."""
    return to_csv(
        ["id", "claim", "verdict", "rows", "context rows"],
        [[c.claim.id, c.claim.claim, c.verdict, len(c.speaking), len(c.context)] for c in results.claims],
    )
