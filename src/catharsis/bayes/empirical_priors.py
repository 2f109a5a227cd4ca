"""Empirical priors on tau, estimated from the meta-analyses of the Cochrane Database of Systematic Reviews.

Turner 2012 and 2015: log odds ratios; log tau^2 is normal. Rhodes 2015: standardised mean differences; log tau^2 is t
with 5 degrees of freedom. Both speak of tau^2. Here priors stand on tau, and because log tau is half of log tau^2, a
tau^2 with (m, s) is a tau with (m / 2, s / 2) of the same family: halving the logarithm is the whole change of
variables, the Jacobian included.

Only settings whose numbers were read in a public source are here; asking for another is an error that lists these. The
papers have 80 settings (Turner 2015) and 24 in each of 3 medical areas (Rhodes 2015); write such a prior with its
published numbers halved, `log-normal(m/2, s/2)` or `log-t(5, m/2, s/2)`. Read in:

- turner general (-2.56, 1.74), turner pain (-1.83, 1.52), rhodes general (-3.44, 2.59), rhodes pain in cancer
  (-0.60, 2.61): the examples of the reference page of `heter_density_plot`, rnmamod
  (loukiaspin.github.io/rnmamod/reference/heter_density_plot), where they are called "general healthcare setting",
  "pain and pharma vs. placebo/ctrl" and "... for cancer". In Rhodes' classes pain is one with general physical health,
  adverse events and quality of life.
- turner all-cause mortality (-3.93, 1.51): the vignette "White blood cell transfusion" of multinma
  (dmphillippo.github.io/multinma), which recreates the example of Turner 2012: mortality, granulocyte transfusion
  against control. That a transfusion counts as not pharmacological is our reading.
"""

from __future__ import annotations

from dataclasses import dataclass

from catharsis.errors import ModelError, did_you_mean

Setting = tuple[str, ...]  # outcome, comparison, medical area; as far as a setting says them


@dataclass(frozen=True, slots=True)
class Table:
    """The settings of one source.

    Attributes
    ----------
    family : str
        Of log tau^2, and so of log tau.
    df : tuple of float
        What precedes location and scale among the parameters: degrees of freedom, or nothing.
    values : mapping
        Setting to location and scale of log tau^2, as published.
    measures : tuple of str
        Codes of the effect measures that it was estimated for.
    scale : str
        That measure in words.
    """

    family: str
    df: tuple[float, ...]
    values: dict[Setting, tuple[float, float]]
    measures: tuple[str, ...]
    scale: str


EMPIRICAL: dict[str, Table] = {
    "turner": Table(
        "log-normal",
        (),
        {
            ("general",): (-2.56, 1.74),
            ("all-cause mortality", "non-pharmacological"): (-3.93, 1.51),
            ("pain", "pharmacological vs placebo"): (-1.83, 1.52),
        },
        ("OR", "PETO"),
        "log odds ratios",
    ),
    "rhodes": Table(
        "log-t",
        (5.0,),
        {
            ("general",): (-3.44, 2.59),
            ("pain", "pharmacological vs placebo", "cancer"): (-0.60, 2.61),
        },
        ("SMD", "SMDH"),
        "standardised mean differences",
    ),
}


def empirical(name: str, text: str) -> tuple[str, tuple[float, ...], str]:
    """An empirical prior on tau by its setting.

    Parameters
    ----------
    name : str
        "turner" or "rhodes".
    text : str
        The setting: "general", or outcome, comparison (and medical area), between commas.

    Returns
    -------
    tuple
        Family, its parameters on the scale of log tau, and the text by which it is known.

    Raises
    ------
    ModelError
        For a setting that is not in the table.

    References
    ----------
    [@turner2012; @turner2015; @rhodes2015]

    Examples
    --------
    >>> empirical("turner", "general")
    ('log-normal', (-1.28, 0.87), 'turner(general)')
    """
    table = EMPIRICAL[name]
    setting = tuple(" ".join(part.split()) for part in text.split(",")) if text.strip() else ("general",)
    if setting not in table.values:
        asked, known = f"{name}({', '.join(setting)})", [f"{name}({', '.join(each)})" for each in table.values]
        numbers = ", ".join([f"{df:g}" for df in table.df] + ["m/2", "s/2"])
        raise ModelError(
            f'"{asked}" is not in our table: {did_you_mean(asked, known)}; there are {", ".join(known)}. Another '
            f"setting of the paper, with its m and s of log tau^2, is written {table.family}({numbers})"
        )
    location, scale = table.values[setting]
    return table.family, (*table.df, location / 2, scale / 2), f"{name}({', '.join(setting)})"
