"""The evidence map: what was measured, what kind of evidence, in whom; gaps are drawn as gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from catharsis.report.figures.svg import Sheet, clipped

ROW, COLUMN, LEFT = 46.0, 100.0, 200.0


def draw_evidence_map(
    rows: Sequence[tuple[str, str]], columns: Sequence[tuple[str, str]], counts: Mapping[tuple[str, str], int]
) -> Sheet:
    """Draw a grid of counts.

    Parameters
    ----------
    rows, columns : sequences of (key, label)
        Settings; kinds of evidence.
    counts : dict
        (row key, column key) to number of effects; zero is drawn as a dashed gap.

    Returns
    -------
    Sheet
    """
    width, height = LEFT + COLUMN * len(columns), 40 + ROW * len(rows)
    described = "; ".join(
        f"{label}: " + ", ".join(f"{counts.get((key, column), 0)} {name}" for column, name in columns)
        for key, label in rows
    )
    sheet = Sheet(width, height, f"Evidence map. {described}")
    biggest = max(counts.values(), default=1)
    for j, (_, name) in enumerate(columns):
        sheet.text(LEFT + COLUMN * (j + 0.5), 20, name, "sub", "middle")
    for i, (key, label) in enumerate(rows):
        y = 34 + ROW * (i + 0.5)
        sheet.text(0, y + 4, clipped(label, LEFT - 10), "lab", tip=label)
        for j, (column, name) in enumerate(columns):
            x = LEFT + COLUMN * (j + 0.5)
            n = counts.get((key, column), 0)
            if n == 0:
                sheet.rect(x - 20, y - 14, 40, 28, "void")
                sheet.text(x, y + 4, "0", "voidt", "middle")
            else:
                sheet.circle(x, y, 7 + 13 * float(np.sqrt(n / biggest)), "cell", f"{label}, {name}: {n}")
                sheet.text(x, y + 4, str(n), "count", "middle")
    return sheet
