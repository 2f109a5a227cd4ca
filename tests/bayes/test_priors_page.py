"""docs/priors.md says what runs, and its table of empirical priors is the one in the code."""

import re
from pathlib import Path

from catharsis.bayes.empirical_priors import EMPIRICAL
from catharsis.bayes.prior_families import FAMILIES
from catharsis.bayes.priors import Priors

PAGE = (Path(__file__).parents[2] / "docs" / "priors.md").read_text(encoding="utf-8")


def test_every_block_runs():
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "docs/priors.md", "exec"), names)


def test_the_yaml_is_read():
    import yaml

    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert str(Priors.parse(yaml.safe_load(text)["priors"]).of("dose")) == "cauchy(0, 0.2)"


def test_every_family_and_setting_is_on_the_page():
    assert all(f"`{name}" in PAGE for name in FAMILIES)
    for name, table in EMPIRICAL.items():
        for setting, (location, scale) in table.values.items():
            numbers = [f"{df:g}" for df in table.df] + [f"{location:.2f}", f"{scale:.2f}"]
            law = "normal" if table.family == "log-normal" else "t"
            assert f"| `{name}({', '.join(setting)})` | {law}({', '.join(numbers)}) |" in PAGE
