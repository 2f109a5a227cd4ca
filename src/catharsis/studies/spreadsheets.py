r"""Tables that others made, CSV or Excel, cell by cell as text: every number keeps its digits and its place.

A spreadsheet says less than it shows. What cannot be read without guessing (a formula, a merged heading, a comma
that may end the units or the thousands, a date that was a range) is refused with its cell, never turned into a
number.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from catharsis.errors import MANY, At, InputError, InputErrors, shown
from catharsis.studies.yaml_source import read_text

MISSING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", ".", "-", "–", "—"})
MAX_UNPACKED = 200_000_000  # bytes: an .xlsx of 20 MB that unpacks to more was made to
MAX_CELLS = 2_000_000  # rows by columns; a table of 50,000 effects with 40 columns
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
EXCEL_DIGITS = 15  # significant digits that Excel shows; what a stored sum has behind them is noise
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row: its texts by column, and where it stands.

    Attributes
    ----------
    at : At
        File (and sheet) and row.
    cells : dict
        Text of each filled cell by its column's name; what is missing is not there.
    """

    at: At
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as somebody wrote it.

    Attributes
    ----------
    file : str
        The file as the user named it.
    columns : tuple of str
        Names of the columns, from the first row.
    rows : tuple of SheetRow
        In file order.
    at : At
        Where the names stand.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    at: At


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell as text, or the reason why it has none."""

    text: str
    wrong: tuple[str, str, str] | None = None


def read_sheet(path: str | Path, sheet: str | None = None) -> Sheet:
    r"""Read a table from a .csv, .tsv or .xlsx file.

    Parameters
    ----------
    path : str or Path
        The file; CSV may be separated by commas, semicolons or tabs.
    sheet : str, optional
        Name of the sheet of a workbook that has several.

    Returns
    -------
    Sheet

    Raises
    ------
    InputErrors
        Every cell and row that cannot be read without guessing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "a.csv")
    >>> _ = file.write_text('author,yi\n"Orr, A.",0.50\n')
    >>> read_sheet(file).rows[0].cells
    {'author': 'Orr, A.', 'yi': '0.50'}
    """
    path = Path(path)
    name = path.as_posix()
    if path.suffix.lower() in {".xlsx", ".xlsm"}:
        name, rows, problems = _excel(path, sheet)
    elif path.suffix.lower() in {".xls", ".ods", ".numbers"}:
        raise InputErrors([_format(At(name), f"{path.suffix} files are not read")])
    else:
        problems = []
        rows = list(_csv(read_text(path), name, path.suffix.lower() == ".tsv"))
    found = _assembled(name, rows, problems)
    if problems:
        raise InputErrors(problems)
    return found


def number_problem(text: str) -> tuple[str, str] | None:
    """Why a text is no number that can be taken as it stands, and how to mend it; None when it is one.

    Examples
    --------
    >>> number_problem("0.50") is None
    True
    >>> number_problem("0,5")
    ('it has a decimal comma', 'write 0.5, or save the table with decimal points')
    """
    if _NUMBER.fullmatch(text):
        return None
    if re.fullmatch(r"[-+−]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        plain = text.replace(",", "")
        return "its comma may end the thousands or the units", f"write {plain}, or use a decimal point"
    if re.fullmatch(r"[-+−]?\d*,\d+", text):
        return "it has a decimal comma", f"write {text.replace(',', '.')}, or save the table with decimal points"
    if re.fullmatch(r"[-+−]?\d{1,3}([.  ' ]\d{3})+(,\d+)?", text):
        return "its signs between the digits may be thousands or decimals", "write the digits and one decimal point"
    if text.startswith(("−", "–")) and _NUMBER.fullmatch(text[1:]):
        return "its minus is a dash", f"write -{text[1:]}"
    if re.match(r"[<>≤≥=~]", text):
        return "it is a bound, not a number", "leave the cell out, and write the row's reported: verdict by hand"
    if text.endswith("%"):
        return "it is a percentage", "write the number in the unit of the others"
    if re.match(r"\d{4}-\d\d-\d\d", text):
        return (
            "it is a date: the spreadsheet took a number or a range for one",
            "format the cell as text, type it again",
        )
    return "it holds more or other than digits", "write the digits only, with a decimal point, or leave the cell empty"


# -- rows ---------------------------------------------------------------------------------------------------

_Row = tuple[int, list[_Cell]]


def _assembled(name: str, rows: list[_Row], problems: list[InputError]) -> Sheet:
    """Names and rows; a blank row between others, a missing name, and a row of another length are problems."""
    while rows and not any(cell.text or cell.wrong for cell in rows[-1][1]):
        rows.pop()  # what follows the table holds nothing
    if not rows:
        problems.append(_format(At(name), "the table is empty"))
        return Sheet(name, (), (), At(name))
    line, head = rows[0]
    at = At(name, line)
    names = [" ".join(cell.text.split()) for cell in head]
    while names and not names[-1] and not any(len(row) >= len(names) and row[len(names) - 1].text for _, row in rows):
        names.pop()
    problems += _head_problems(at, names, rows)
    kept = []
    for line, row in rows[1:]:
        here = At(name, line)
        if len(problems) >= MANY:
            break
        if not any(cell.text or cell.wrong for cell in row):
            problems.append(
                InputError(
                    here,
                    "the row is blank, and others follow it",
                    "it may divide two tables, or be one that was lost",
                    "delete it, or bring the tables into files of their own",
                    "sheet-blank-row",
                )
            )
            continue
        if any(cell.text for cell in row[len(names) :]):
            problems.append(
                InputError(
                    here,
                    f"the row has {len(row)} cell{'s' * (len(row) != 1)}, the heading {len(names)}",
                    "a cell too many shifts the others under the wrong names",
                    "put a text with a comma between quotes, or name every column",
                    "sheet-row",
                )
            )
            continue
        cells = {}
        for column, cell in zip(names, row, strict=False):
            if cell.wrong:
                what, why, fix = cell.wrong
                problems.append(InputError(here, f"{column}: {what}", why, fix, "sheet-cell"))
            elif cell.text not in MISSING and column:
                cells[column] = cell.text
        kept.append(SheetRow(here, cells))
    return Sheet(name, tuple(column for column in names if column), tuple(kept), at)


def _head_problems(at: At, names: list[str], rows: list[_Row]) -> list[InputError]:
    filled = [column for column in names if column]
    width = max((sum(bool(cell.text) for cell in row) for _, row in rows[1:]), default=0)
    if len(filled) == 1 < width:
        return [
            InputError(
                at,
                f"the first row holds only {shown(filled[0])}",
                "the first row names the columns, and this looks like a title",
                "delete the rows above the names of the columns",
                "sheet-head",
            )
        ]
    problems = []
    for i, column in enumerate(names):
        holds = any(len(row) > i and row[i].text for _, row in rows[1:])
        if not column and holds and i > 0:  # R writes its row names into a first column without a name
            problems.append(
                InputError(
                    at,
                    f"column {i + 1} has no name",
                    "nobody knows what its cells mean",
                    "name it, or delete it",
                    "sheet-head",
                )
            )
        elif column and column in names[:i]:
            problems.append(
                InputError(
                    at,
                    f"two columns are called {shown(column)}",
                    "only one of them could be used",
                    "rename one",
                    "sheet-head",
                )
            )
    if len(rows) == 1:
        problems.append(_format(at, "the table has names and no rows"))
    return problems


def _format(at: At, what: str) -> InputError:
    return InputError(
        at, what, "the effects stand in it", "give a .csv or .xlsx file with one row for each effect", "sheet"
    )


# -- CSV ----------------------------------------------------------------------------------------------------


def _csv(text: str, name: str, tabs: bool) -> Iterator[_Row]:
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = f"the character U+{ord(found[0]):04X} is not text"
        raise InputErrors([_format(At(name, line), what)])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tabs else _delimiter(text), strict=True)
    last = 0
    try:
        for row in reader:
            line, last = last + 1, reader.line_num
            yield line, [_Cell(" ".join(cell.split())) for cell in row]
    except csv.Error as error:
        raise InputErrors([_format(At(name, last + 1), f"this is not CSV: {error}")]) from None


def _delimiter(text: str) -> str:
    """The sign that divides the first row into the most cells."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", head)
    return max(",;\t", key=bare.count)


# -- Excel --------------------------------------------------------------------------------------------------


def _excel(path: Path, wanted: str | None) -> tuple[str, list[_Row], list[InputError]]:
    name = path.as_posix()
    book = _workbook(path, name)
    filled = [
        sheet
        for sheet in book.worksheets
        if any(cell.value is not None for row in _limited(sheet, name) for cell in row)
    ]
    if wanted is not None:
        filled = [sheet for sheet in filled if sheet.title == wanted]
    if len(filled) != 1:
        titles = ", ".join(shown(sheet.title) for sheet in book.worksheets[:25])
        what = f"{len(filled)} of its sheets hold something" if wanted is None else f"it has no sheet {shown(wanted)}"
        raise InputErrors(
            [InputError(At(name), what, "only one table is imported", f"name one with --sheet: {titles}", "sheet")]
        )
    sheet = filled[0]
    where = name if len(book.worksheets) == 1 else f"{name}[{sheet.title}]"
    problems = [
        InputError(
            At(where, area.min_row),
            f"the cells {area.coord} are merged",
            "a value that spans cells belongs to none of them, so that a column would lose its name or its numbers",
            "unmerge them, and write the value into each",
            "sheet-merged",
        )
        for area in sorted(sheet.merged_cells.ranges, key=lambda area: (area.min_row, area.min_col))[:MANY]
    ]
    rows = [(row[0].row, [_excel_cell(cell) for cell in row]) for row in _limited(sheet, name)]
    while rows and not any(cell.text or cell.wrong for cell in rows[0][1]):
        rows.pop(0)
    return where, rows, problems


def _workbook(path: Path, name: str) -> Any:
    import openpyxl

    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if path.stat().st_size > 20_000_000 or unpacked > MAX_UNPACKED:
            raise InputErrors([_format(At(name), "the workbook is larger than any table of effects")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns about charts and validations, which hold no cells
            return openpyxl.load_workbook(path, data_only=False, keep_links=False)
    except InputErrors:
        raise
    except FileNotFoundError:
        raise InputErrors([_format(At(name), "there is no such file")]) from None
    except Exception as error:  # whatever openpyxl trips over is the file's fault, and never a traceback
        said = " ".join(str(error).split())[:80]
        raise InputErrors([_format(At(name), f"this is not an Excel workbook ({said})")]) from None


def _limited(sheet: Any, name: str) -> Iterable[tuple[Any, ...]]:
    if sheet.max_row * sheet.max_column > MAX_CELLS:
        what = f"the sheet {shown(sheet.title)} reaches to row {sheet.max_row} and column {sheet.max_column}"
        raise InputErrors([_format(At(name), what)])
    rows: Iterable[tuple[Any, ...]] = sheet.iter_rows()
    return rows


def _excel_cell(cell: Any) -> _Cell:
    value, place = cell.value, getattr(cell, "coordinate", "")
    if value is None:
        return _Cell("")
    if cell.data_type == "f":
        formula = getattr(value, "text", None) or value
        return _Cell(
            "",
            (
                f"the cell {place} holds the formula {shown(str(formula))}",
                "its result may come from other cells, another file or another day",
                "replace formulas by their values (copy, then paste values only)",
            ),
        )
    if cell.data_type == "e":
        fix = "correct the formula that it comes from, or leave the cell empty"
        return _Cell("", (f"the cell {place} shows the error {value}", "there is no value", fix))
    if isinstance(value, bool):
        return _Cell("TRUE" if value else "FALSE")
    if isinstance(value, int | float):
        value = float(f"{value:.{EXCEL_DIGITS}g}") if isinstance(value, float) else value  # without 0.30000000000000004
        form = str(cell.number_format)
        if "%" in re.sub(r'"[^"]*"|\\.', "", form):  # 0.44 is stored, 44% is seen: a % in quotes is only text
            return _Cell(f"{_shifted(value, 2)}%")
        return _Cell(_digits(value, form))
    if isinstance(value, datetime | date | time):
        return _Cell(value.isoformat()[:10])
    text = " ".join(str(value).split())
    if found := _CONTROL.search(text):
        why = "nobody can see it"
        return _Cell("", (f"the cell {place} holds the character U+{ord(found[0]):04X}", why, "type the cell again"))
    return _Cell(text)


def _shifted(value: float, places: int) -> str:
    """A number with its decimal point moved to the right, without the noise of a multiplication."""
    return f"{Decimal(repr(value)).scaleb(places).normalize():f}"


def _digits(value: float, form: str) -> str:
    """The number as the sheet shows it when that loses nothing (0.50), else with all the digits it has."""
    plain = repr(value)
    whole = plain[:-2] if plain.endswith(".0") else plain
    decimals = re.fullmatch(r"0\.(0+)", form)
    if decimals:
        printed = f"{value:.{len(decimals[1])}f}"
        if float(printed) == value:
            return printed
    return whole
