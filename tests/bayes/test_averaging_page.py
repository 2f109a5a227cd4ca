"""docs/averaging.md says what runs."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "averaging.md").read_text(encoding="utf-8")


@pytest.mark.sampling
def test_every_block_runs():
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "docs/averaging.md", "exec"), names)
