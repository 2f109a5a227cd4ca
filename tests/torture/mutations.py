"""Damage done to real files: what slips of the hand, other programs, lost bytes and enemies do to them.

A mutation is a short list of edits, each a plain tuple of numbers, so that Hypothesis can draw and shrink it and
atheris can make it from bytes.
"""

from __future__ import annotations

import random
import re

from hypothesis import strategies as st

Edit = tuple[str, int, int, int]  # how, where, and two numbers whose meaning depends on how
BIG = 2**31 - 1
LARGEST = 400_000  # bytes beyond which a mutant no longer grows: doubling edits would only test the size limit

YAML_TOKENS = (
    "\t", "  ", "\n", "\r", "\r\n", "\f", "- ", "-", ": ", ":", "{", "}", "[", "]", ",", "&a ", "&a &b ", "*a",
    "*a, *a",
    "!!python/object/apply:os.system ['id']", "!x ", "!!binary ", "!", "? ", "<<: *a", "<<: {a: 1}", "#", " #", "'",
    '"',
    "|", "|+\n", ">-\n", ">9", "|2-\n", "%YAML 1.1\n---\n", "%TAG ! x\n", "---\n", "...\n", "\0", "\x1b[31m", "\x7f",
    "\x85", "\ufeff", "\u2028", "\u200b", "\u202e", "\ud800", "\U0001f600", "~", ".nan", "-.inf", ".inf", "1e999",
    "1e-999", "9" * 400, "9" * 5000, "0x" + "f" * 300, "0o777", "0b1", "1_000", "1,000", "0,5", "-1", "-0", "0",
    "00", "1.",
    ".5", "+.5e3", "1e5", "1e308", "-1e308", "1:30", "2001-01-01", "true", "yes", "no", "NO", "on", "null", "{}", "[]",
    '"\\0"', '"\\ud800"', '"\\x41"', '"\\U0010FFFF"', "''", '""', "moderators: {a: 1}\n", "studies:", "samples: []",
    "samples:", "effects: []", "numbers: {}", "counts: {}", "reported: {}", "waive: []", "waive: [{rule: x}]",
    "schema: catharsis/studies@999\n", "schema: x\n", "numbers: {n: 1}", "numbers: {sd: 0}", "{n: 1e300, sd: 1e-300}",
    "cite: [a]", "cite: {a: b}", "id: 1", "id: 1.0", "id: null", "n: -3", "n: 1.5", "p: 0", "p: 1", "r: 1", "r: -1",
    "[" * 60, "{a: " * 60, "- " * 60, "? " * 60, "__class__", "__proto__: 1", "{{ 7*7 }}", "${HOME}",
    "../../../etc/passwd",
    "/dev/zero", "=1+1", "<script>", "rows: kind == 'estimate'", "rows: n == 1e999", "rows: (" * 40, "rows: not not n",
    "normal(0, 1)", "normal(0, 0)", "half-cauchy(-1)", "flat", "normal(" * 30, "~ a + b", "~ 1 | x", "~ Q('a')",
    "range: [5, 1]", "range: [0, 0]", "level: 1", "level: 0.999999999999", "random: a/b/c/d",
)  # fmt: skip
BIB_TOKENS = (
    "{", "}", "{{", "}}", '"', "'", "@", "@article{", "@article{x,", "@misc(", "@string{", "@string{a = b}",
    "@string{a = a # a}", "@comment{", "@preamble{", "#", " # ", "=", "= ", ",", "\\", "\\\\", "\\'", '\\"{', "\\v{",
    "\\v ",
    "\\c", "\\i", "\\textbf{", "\\unknown", "\\begin{x}", "\\input{/etc/passwd}", "\\def\\x{\\x\\x}\\x", "$", "$$",
    "$a$", "~", "%", "&",
    "--", "---", "``", "''", "\n", "\r", "\r\n", "\t", "\f", "\0", "\x1b[31m", "\x7f", "\x85", "\ufeff", "\u2028",
    "\ud800",
    "\U0001f600", "and", " and ", " and and ", "and others", ", ,", ",,,,", "{and}", "author = {",
    "author = {A, B, C, D, E}",
    "author = {and}", "author = ,", "title = ", "year = 20l9", "year = {-1}", "year = " + "9" * 400, "doi = {10.1/x}",
    "crossref = {x}", "month = foo", "pages = {--}", "é", "ß", "\u0301", "\u202e", "<script>", "javascript:alert(1)",
    "=1+1",
    "{" * 100, "}" * 100, "\\'" * 100, '"' * 101, "@" * 100, "#" * 100, "and " * 100, "$" * 101, "{{ 7*7 }}",
)  # fmt: skip
TEXT_TOKENS = tuple(dict.fromkeys((
    "TY  - JOUR\n", "ER  - \n", "TY  - ", "ER  -", "AU  - ", "AU  - ,", "PY  - 20l9//", "PY  - ", "SP  - ", "DO  - ",
    "ID  - ",
    "PMID- 1\n", "TI  - ", "      ", "FAU - ", "DP  - ", "DP  - 2020 Spring", "DP  - 99999999", "AD  - ", "IR  - ",
    "{", "}", "[", "]",
    ",", ":", '"', "null", "true", "1e999", "NaN", "-1", "[]", "{}", '"\\ud800"', '{"a":' * 50, "[" * 500, ";", "\t",
    "\n", "\r", "\r\n",
    "\n\n", "\0", "\x1b", "\ufeff", "\u2028", "\x85", "=1+1", "1,5", "1.000,5", "1 000", "N/A", "#REF!", "1e5", "'",
    '""', "''", ",,,,",
    *YAML_TOKENS[:20],
)))  # fmt: skip

HOWS = (
    "flip", "delete", "insert byte", "token", "token after", "replace value", "cut line", "twice", "swap lines",
    "move line",
    "indent", "dedent", "cut off", "splice", "repeat", "number", "join lines", "line ends", "encode",
)  # fmt: skip

EDITS = st.lists(
    st.tuples(st.sampled_from(HOWS), st.integers(0, BIG), st.integers(0, BIG), st.integers(0, BIG)),
    min_size=1,
    max_size=5,
)
NUMBERS = (
    "0",
    "-1",
    "1",
    "2",
    "1e308",
    "-1e308",
    "1e-308",
    "0.0",
    "-0.0",
    "1e999",
    "NaN",
    "inf",
    "12345678901234567890",
    "0.5.1",
    "1,5",
)


def random_edits(source: random.Random) -> list[Edit]:
    """Edits like those of `EDITS`, from a plain generator: for runs of many thousands."""
    return [
        (source.choice(HOWS), source.randrange(BIG), source.randrange(BIG), source.randrange(BIG))
        for _ in range(source.choice((1, 1, 1, 2, 2, 3, 5, 8)))
    ]


def mutated(data: bytes, edits: list[Edit], tokens: tuple[str, ...], other: bytes = b"") -> bytes:
    """The file after its edits; `other` is another file that pieces may come from."""
    for how, where, one, two in edits:
        data = _edited(data, how, where, one, two, tokens, other)[: 2 * LARGEST]
    return data


def _edited(data: bytes, how: str, where: int, one: int, two: int, tokens: tuple[str, ...], other: bytes) -> bytes:
    place = where % (len(data) + 1)
    token = tokens[one % len(tokens)].encode("utf-8", "surrogatepass")
    match how:
        case "flip":
            return data[:place] + bytes(b ^ (1 << one % 8) for b in data[place : place + 1]) + data[place + 1 :]
        case "delete":
            return data[:place] + data[place + 1 + one % 12 :]
        case "insert byte":
            return data[:place] + bytes([one % 256]) + data[place:]
        case "token":
            return data[:place] + token + data[place:]
        case "token after":  # where a value begins, or a line
            places = [found.end() for found in re.finditer(rb": |- |\n *|= |\{|,", data)] or [0]
            place = places[where % len(places)]
            return data[:place] + token + data[place:]
        case "replace value":
            spots = list(re.finditer(rb"(?<=: )[^\n,}\]]+|(?<==)[^\n]+|(?<=- )[^\n]+", data))
            if not spots:
                return token
            spot = spots[where % len(spots)]
            return data[: spot.start()] + token + data[spot.end() :]
        case "number":
            spots = list(re.finditer(rb"-?\d+(\.\d+)?", data))
            if not spots:
                return data
            spot = spots[where % len(spots)]
            return data[: spot.start()] + NUMBERS[one % len(NUMBERS)].encode() + data[spot.end() :]
        case "cut off":
            return data[:place]
        case "splice":
            start = one % (len(other) + 1)
            return data[:place] + other[start : start + two % 400] + data[place:]
        case "repeat":
            length, times = 1 + one % 40, 1 + two % (2000 if two % 7 == 0 else 50)
            times = max(0, min(times, (LARGEST - len(data)) // length))
            return data[:place] + data[place : place + length] * times + data[place:]
        case "encode":
            text = data.decode("utf-8", "replace")
            codec = ("utf-16", "utf-8-sig", "latin-1", "utf-32", "utf-16-be", "cp1252")[one % 6]
            return text.encode(codec, "replace")
        case "line ends":
            return data.replace(b"\n", (b"\r\n", b"\r", b"\n\n", b"\x85", b"\n\t")[one % 5])
    return b"".join(_with_lines(data.splitlines(keepends=True), how, where, one, two))


def _with_lines(lines: list[bytes], how: str, where: int, one: int, two: int) -> list[bytes]:
    if not lines:
        return lines
    first, last = where % len(lines), one % len(lines)
    line = lines[first]
    match how:
        case "cut line":
            del lines[first : first + 1 + two % 3]
        case "twice":
            lines[first:first] = lines[first : first + 1 + two % 30]
        case "swap lines":
            lines[first], lines[last] = lines[last], line
        case "move line":
            lines.insert(last, lines.pop(first))
        case "indent":
            lines[first] = (b" " * (1 + one % 4) if two % 5 else b"\t") + line
        case "dedent":
            lines[first] = line[min(1 + one % 4, len(line) - len(line.lstrip(b" "))) :]
        case "join lines":
            lines[first] = line.rstrip(b"\r\n")
        case _:
            raise ValueError(how)
    return lines
