"""The sketch of DESIGN.md loads as it stands there and gives the frame one would expect."""

from __future__ import annotations

import math
from pathlib import Path

from catharsis.effects.prepare import prepare
from catharsis.errors import At
from catharsis.studies.table import COLUMNS, read_studies

TABLE = """\
# analyses/crying/studies.yaml
schema: catharsis/studies@1
studies:
  - cite: sharman2019gender            # a key in references/*.bib
    label: Sharman 2019
    design: retrospective
    evidence: direct
    samples:
      - id: sharman2019-au
        country: Australia
        effects:
          - id: sharman2019-au-alone
            outcome: mood
            minutes: 0
            social_response: alone
            partition: country-x-response        # other cuts of the same people are never pooled with it
            numbers: {n: 97, mean_change: 0.6186, sd_change: 1.0046}          # kind: estimate
            source: {where: x-cultural_data.csv, kind: primary-rawdata, checked: yes}
  - cite: gracanin2015alleviate
    label: Gracanin 2015
    design: pre-post
    evidence: direct
    samples:
      - id: gracanin2015-criers
        n: 28
        effects:
          - id: gracanin2015-criers-0
            outcome: mood
            minutes: 0
            reported: {sign: worse, verdict: p < .05}                          # kind: bounds
            source: {where: abstract, kind: primary-abstract, checked: yes}
"""
ANALYSIS = """\
schema: catharsis/analysis@1
title: ...
bibliography: ../../references
outcomes:
  mood: {label: Mood, higher_is: better, unit: points, range: [-3, 3]}
moderators:
  social_response: {label: Social response, levels: {alone: alone, supported: supported}}
"""


def test_the_sketch_of_the_design(tmp_path: Path) -> None:
    (tmp_path / "studies.yaml").write_text(TABLE)
    (tmp_path / "analysis.yaml").write_text(ANALYSIS)
    table = read_studies(tmp_path / "studies.yaml")
    frame = table.frame()
    assert list(frame.index) == ["sharman2019-au-alone", "gracanin2015-criers-0"]
    assert list(frame.columns) == [*COLUMNS, "social_response"]
    assert frame["kind"].tolist() == ["estimate", "bounds"]
    assert frame["family"].tolist() == ["mood", "mood"]
    assert frame["n"].tolist() == [97, 28]
    assert frame["minutes"].tolist() == [0, 0]
    assert frame["design"].tolist() == ["retrospective", "pre-post"]
    assert frame["mean_change"].iloc[0] == 0.6186
    assert math.isnan(frame["mean_change"].iloc[1])
    assert frame["sign"].iloc[1] == -1
    assert frame["significant"].iloc[1] is True
    assert frame["alpha"].iloc[1] == 0.05
    assert frame["overlap_group"].tolist() == ["sharman2019gender", "gracanin2015alleviate"]
    assert frame["source_checked"].tolist() == [True, True]
    assert frame["social_response"].tolist()[0] == "alone"
    first = table.rows[0]
    assert first.place("sd_change") == At((tmp_path / "studies.yaml").as_posix(), 17)
    assert first.place("design").line == 6
    assert first.place("df") == first.at == At((tmp_path / "studies.yaml").as_posix(), 12)


def test_the_sketch_gives_its_one_estimate(tmp_path: Path) -> None:
    (tmp_path / "studies.yaml").write_text(TABLE)
    (tmp_path / "analysis.yaml").write_text(ANALYSIS)
    table = read_studies(tmp_path / "studies.yaml")
    effects = prepare(table.rows, "auto", table.dictionary)
    assert (effects.scale, effects.unit, len(effects), effects.people) == ("raw", "points", 1, 97)
    assert effects.left_out == {"gracanin2015-criers-0": "reports only bounds"}
