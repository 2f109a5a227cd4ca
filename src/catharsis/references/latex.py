r"""From the LaTeX of a .bib field to plain unicode text.

bibtexparser's own decoder reads a field as a LaTeX document: an unescaped % swallows the rest of a title, an
unknown command vanishes, and the braces that protect capitals are gone. A bibliography needs the opposite,
so this scanner decodes what it knows (accents, escaped signs, named symbols, quotes, dashes), leaves every
other character as it stands, and remembers what braces protected.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# LaTeX accent command -> unicode combining character (The LaTeX Companion, 3rd ed., table of text accents).
_ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331", "t": "\u0361",
}  # fmt: skip
_ABOVE = frozenset("`'^~=u.\"rHv")  # accents that take the place of the dot of \i and \j
# Commands that only change how their argument looks: the argument stays, the command goes.
_APPEARANCE = frozenset({
    "emph", "textit", "textbf", "textrm", "textsc", "textsf", "texttt", "textup", "textnormal",
    "textsl", "textmd", "textsuperscript", "textsubscript", "mathrm", "mathit", "mathbf", "mathsf",
    "mathcal", "mbox", "hbox", "text", "url", "path", "href", "nolinkurl", "em", "it", "bf", "sc", "rm",
    "sf", "tt", "sl", "relax", "protect", "ensuremath", "uppercase", "lowercase", "MakeUppercase",
    "MakeLowercase", "noopsort",
})  # fmt: skip
_TOKENS = re.compile(
    r"""
      \\(?P<accent>[`'^"~=.]|[uvHtcdbkr](?![A-Za-z]))\s*
          (?:\{\s*(?P<braced>\\[ij](?![A-Za-z])|[^\W\d_])\s*\}
            |(?P<bare>\\[ij](?![A-Za-z])(?:\s*\{\})?|[^\W\d_]))
    | \\(?P<name>[A-Za-z]+)(?P<after>\s*\{\}|[ \t\n]*)
    | \\(?P<escaped>[^A-Za-z\s])
    | (?P<backspace>\\[ \t\n])
    | (?P<open>\{) | (?P<close>\})
    | (?P<quote>``|'') | (?P<dash>---?)
    | (?P<math>\$(?=\S)(?P<formula>[^$\n]*[^\s$\\])\$(?!\d))
    | (?P<space>[ \t\n\r\f\v~]+)
    """,
    re.VERBOSE,
)


def accent_commands() -> dict[str, str]:
    r"""LaTeX accent command by its unicode combining character.

    Examples
    --------
    >>> accent_commands()["\u030c"]
    'v'
    """
    return {combining: command for command, combining in _ACCENTS.items()}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Plain text, and the (start, end) stretches whose letter case braces protected."""

    text: str
    protected: tuple[tuple[int, int], ...] = ()


def decode(latex: str) -> Decoded:
    r"""Plain unicode text of a LaTeX field.

    Parameters
    ----------
    latex : str
        The value between the field's own braces or quotes.

    Returns
    -------
    Decoded
        White space runs become one space; unknown commands stay as they are written.

    Examples
    --------
    >>> decode(r"Gra{\v{c}}anin, 95\% of {REML} fits -- ``so to speak''")
    Decoded(text='Gračanin, 95% of REML fits – “so to speak”', protected=((17, 21),))
    """
    if not re.search(r"[\\{}$~`'\s-]", latex):
        return Decoded(latex)
    return _Scan(latex).result()


def verbatim(latex: str) -> str:
    r"""Text of a field that holds an address or an identifier: only escapes and braces go.

    Examples
    --------
    >>> verbatim(r"\url{https://example.org/a\_b--c~d%20e}")
    'https://example.org/a_b--c~d%20e'
    """
    text = re.sub(r"\\(?:url|path|nolinkurl)\s*(?=\{)", "", latex)
    text = re.sub(r"\\([_&%#$~^{}])|[{}]", lambda match: match[1] or "", text)
    return " ".join(text.split())


class _Scan:
    """One pass over a field; braces need a stack, not recursion, so depth has no limit."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.pieces: list[str] = []
        self.length = 0
        self.groups: list[int | None] = []  # where a protecting group began; None for one that does not
        self.protecting = 0  # how many of the open groups protect
        self.spans: list[tuple[int, int]] = []
        self.run(latex)

    def run(self, latex: str) -> None:
        end = 0
        for match in _TOKENS.finditer(latex):
            self.put(latex[end : match.start()])
            handle: Callable[[re.Match[str]], None] = getattr(self, f"on_{_kind(match)}")
            handle(match)
            end = match.end()
        self.put(latex[end:])

    def put(self, piece: str) -> None:
        if piece:
            self.pieces.append(piece)
            self.length += len(piece)

    def on_accent(self, match: re.Match[str]) -> None:
        accent, letter = match["accent"], match["braced"] or match["bare"]
        if letter.startswith("\\"):  # dotless i and j are only there to make room for the accent
            letter = letter[1] if accent in _ABOVE else {"i": "ı", "j": "ȷ"}[letter[1]]
        self.put(unicodedata.normalize("NFC", letter + _ACCENTS[accent]))

    def on_name(self, match: re.Match[str]) -> None:
        name = match["name"]
        if name in _APPEARANCE:
            return
        symbol = _symbol(name)
        self.put(symbol if symbol is not None else match[0])

    def on_escaped(self, match: re.Match[str]) -> None:
        sign = match["escaped"]
        if sign in "/-@":  # italic correction, optional hyphen, spacing: no text of their own
            return
        if sign in ",;:!\\":  # spaces of several widths, and the line break \\
            self.on_space(match)
        else:
            self.put(sign)

    def on_backspace(self, match: re.Match[str]) -> None:
        self.on_space(match)

    def on_open(self, match: re.Match[str]) -> None:
        special = self.latex.startswith("\\", match.end())  # {\v{c}} is a letter, not a protection
        self.groups.append(None if special else self.length)
        self.protecting += not special

    def on_close(self, match: re.Match[str]) -> None:
        start = self.groups.pop() if self.groups else None
        self.protecting -= start is not None
        if start is not None and start < self.length and not self.protecting:
            self.spans.append((start, self.length))

    def on_quote(self, match: re.Match[str]) -> None:
        self.put("“" if match[0] == "``" else "”")

    def on_dash(self, match: re.Match[str]) -> None:
        self.put("–" if len(match[0]) == 2 else "—")

    def on_math(self, match: re.Match[str]) -> None:
        self.put(decode(match["formula"]).text)

    def on_space(self, match: re.Match[str]) -> None:
        if self.pieces and self.pieces[-1] != " ":
            self.put(" ")

    def result(self) -> Decoded:
        text = "".join(self.pieces).rstrip(" ")
        spans = ((start, min(end, len(text))) for start, end in self.spans)
        return Decoded(text, tuple((start, end) for start, end in spans if start < end))


def _kind(match: re.Match[str]) -> str:
    """Which alternative of the token pattern matched (inner groups such as `formula` do not count)."""
    kinds = ("accent", "name", "escaped", "backspace", "open", "close", "quote", "dash", "math", "space")
    return next(kind for kind in kinds if match[kind] is not None)


@lru_cache(maxsize=1024)
def _symbol(name: str) -> str | None:
    r"""The character that a command such as \ss or \alpha prints, or None when pylatexenc knows none.

    It is looked up and never executed: commands like \input, \href or \title expect arguments that are not there.
    """
    own = {"i": "ı", "j": "ȷ", "textbraceleft": "{", "textbraceright": "}"}
    if name in own:
        return own[name]
    spec = _known_commands().get_macro_spec(name)
    text = getattr(spec, "simplify_repl", None)
    return text if isinstance(text, str) and len(text) == 1 and not text.isspace() else None


@lru_cache(maxsize=1)
def _known_commands() -> Any:
    from pylatexenc.latex2text import get_default_latex_context_db

    return get_default_latex_context_db()
