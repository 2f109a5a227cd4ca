"""Compile a program once, give it new data, and draw: by nutpie when it is there, by PyMC's sampler otherwise.

Nearly all of a first fit is compilation. A program is kept under a key that says what it depends on, and every later
model with that key costs the drawing alone. Both samplers run PyTensor's numba backend with the C compiler switched
off, so that machines with and without one run the same code.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from catharsis.errors import ModelError, shown
from catharsis.numerics import FloatArray

TARGET_ACCEPT = (0.99, 0.999)  # the posterior of few studies needs short steps; the second when the first diverges
TUNE = 2000
MIN_DRAWS = 4  # split R-hat needs two draws in each half of a chain

_COMPILED: dict[tuple[str, Hashable], Any] = {}
_COUNT = 0


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of the sampler is set up.

    Attributes
    ----------
    draws, chains, seed : int
        Draws of each chain after warm-up, chains, and where the generator starts.
    target : float
        Acceptance that the step size is tuned to.
    """

    draws: int
    chains: int
    seed: int
    target: float = TARGET_ACCEPT[0]

    def __post_init__(self) -> None:
        """Refuse a run that tells nothing."""
        for name in ("draws", "chains", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                raise ModelError(f"{name} is a whole number, not {shown(value)}")
        if not 0 <= self.seed < 2**32:
            raise ModelError(f"the seed is {self.seed}; it lies between 0 and 2^32 - 1")
        if self.draws < MIN_DRAWS or self.chains < 1:
            raise ModelError(
                f"{self.chains} chains of {self.draws} draws tell nothing: use 1 chain or more of {MIN_DRAWS} draws or "
                "more"
            )


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a sampler returns.

    Attributes
    ----------
    values : dict
        Free variables of the PyMC model to arrays (chains, draws, ...).
    stats : dict
        Statistics of the sampler, (chains, draws) each.
    sampler : str
        "nutpie" or "PyMC".
    """

    values: Mapping[str, FloatArray]
    stats: Mapping[str, FloatArray]
    sampler: str


def compilations() -> int:
    """How many programs this process has compiled; a model of a known structure adds none.

    Examples
    --------
    >>> before = compilations()
    >>> compilations() - before
    0
    """
    return _COUNT


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings and no announcements: what matters is in the diagnostics."""
    log = logging.getLogger("pymc")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def pymc() -> Any:
    """Import PyMC without its C compiler and without its announcements."""
    os.environ.setdefault("PYTENSOR_FLAGS", "cxx=")
    with quietly():
        import pymc

    return pymc


def draw(key: Hashable, build: Callable[[], Any], data: Mapping[str, Any], run: Run) -> Drawn:
    """Sample a model, compiling it when its key is new.

    Parameters
    ----------
    key : hashable
        What the program depends on. Models of one key differ in `data` alone, whose arrays may change length.
    build : callable
        Makes the `pymc.Model`, its data as `pymc.Data`, its free variables on the whole line.
    data : dict
        Names of `pymc.Data` to arrays; what the program does not use is left out.
    run : Run
        Draws, chains, seed and target acceptance.

    Returns
    -------
    Drawn

    Raises
    ------
    ModelError
        When the sampler finds no point to start from.
    """
    pymc()
    with quietly():
        return (_by_pymc if find_spec("nutpie") is None else _by_nutpie)(key, build, data, run)


def _compiled(sampler: str, key: Hashable, compile_it: Callable[[], Any]) -> Any:
    global _COUNT
    if (sampler, key) not in _COMPILED:
        _COMPILED[sampler, key] = compile_it()
        _COUNT += 1
    return _COMPILED[sampler, key]


def _by_nutpie(key: Hashable, build: Callable[[], Any], data: Mapping[str, Any], run: Run) -> Drawn:
    import nutpie

    program = _compiled("nutpie", key, lambda: nutpie.compile_pymc_model(build(), backend="numba", var_names=[]))
    held = {name: value for name, value in data.items() if name in program.shared_data}
    try:
        idata = nutpie.sample(
            program.with_data(**held), draws=run.draws, tune=TUNE, chains=run.chains, seed=run.seed,
            cores=min(run.chains, os.cpu_count() or 1), target_accept=run.target, progress_bar=False,
        )  # fmt: skip
    except RuntimeError as error:
        raise _nowhere(error) from None
    return _drawn(idata, program.shapes, "nutpie")


def _by_pymc(key: Hashable, build: Callable[[], Any], data: Mapping[str, Any], run: Run) -> Drawn:
    pm = pymc()

    def compile_it() -> Any:
        model = build()
        with model:
            return model, pm.NUTS(target_accept=run.target, compile_kwargs={"mode": "NUMBA"})

    model, step = _compiled("PyMC", (key, run.target), compile_it)
    with model:
        pm.set_data({name: value for name, value in data.items() if name in model.named_vars})
        try:
            idata = pm.sample(
                draws=run.draws, tune=TUNE, chains=run.chains, cores=1, random_seed=run.seed, step=step,
                progressbar=False, compute_convergence_checks=False, compile_kwargs={"mode": "NUMBA"},
            )  # fmt: skip
        except (RuntimeError, pm.exceptions.SamplingError) as error:
            raise _nowhere(error) from None
    return _drawn(idata, [variable.name for variable in model.free_RVs], "PyMC")


def _nowhere(error: Exception) -> ModelError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f'the sampler could not start ({first}): the data and the priors may lie too far apart; use engine="exact", or '
        "priors on the scale of the effects"
    )


def _drawn(idata: Any, names: Any, sampler: str) -> Drawn:
    values = {name: np.asarray(idata.posterior[name], dtype=float) for name in names}
    stats = {
        str(name): np.asarray(value)
        for name, value in idata.sample_stats.items()
        if value.ndim == 2 and value.dtype != object
    }
    return Drawn(values, stats, sampler)
