"""Words on the terminal: colour when it has any, plain text otherwise."""

from __future__ import annotations

import sys

from catharsis.errors import CatharsisError, InputError, InputErrors, sayable


def problem_lines(problem: InputError, colour: bool) -> str:
    """One problem as text; place in bold, "why" and "fix" dim when there is colour."""
    at = sayable(str(problem.at))
    if not colour:
        return sayable(str(problem))
    bold, dim, plain = "\x1b[1m", "\x1b[2m", "\x1b[0m"
    return f"{bold}{at}{plain}: {problem.what}\n  {dim}why:{plain} {problem.why}\n  {dim}fix:{plain} {problem.fix}"


def complain(problem: CatharsisError) -> None:
    """Print an error on standard error, with a count when there are several."""
    import os

    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    if not isinstance(problem, InputErrors):
        sys.stderr.write(f"{sayable(str(problem))}\n")
        return
    for item in problem.problems:
        sys.stderr.write(problem_lines(item, colour) + "\n")
    n = len(problem.problems)
    sys.stderr.write(f"{n} error{'s' * (n != 1)}; nothing was computed or written.\n")


def tell(text: str) -> None:
    """Print a line of results; when nobody listens any more, the work and its exit code go on."""
    import os

    try:
        sys.stdout.write(sayable(text) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
