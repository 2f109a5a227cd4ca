"""The package as a whole: its arrows, what it loads, what it cites, what it ships, and what its README promises."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "catharsis"
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOE = "@article{doe2030recall,\n author = {Doe, Jane},\n title = {Crying},\n journal = {Tears},\n year = {2030},\n}\n"


def python(*arguments, cwd=ROOT, source=ROOT / "src"):
    """Python with our package on its path."""
    environment = {**os.environ, "PYTHONPATH": str(source), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, encoding="utf-8",
        timeout=300, check=False,
    )  # fmt: skip


# -- arrows -----------------------------------------------------------------------------------------


def test_a_stage_imports_only_from_stages_above_it():
    tool = Path(sys.executable).with_name("lint-imports")
    if not tool.exists():
        pytest.skip("import-linter is not installed; `make lint` installs it")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [tool, "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout


def test_the_ground_floor_imports_nothing_of_ours():
    for name in ("errors.py", "numerics.py"):
        assert not re.search(r"^\s*(from|import) catharsis", (SOURCE / name).read_text(encoding="utf-8"), re.M)


def test_the_package_knows_nothing_about_crying():
    """Everything about crying is data: no code and no template names it (an example in a docstring may)."""
    for path in SOURCE.rglob("*"):
        if path.suffix in (".py", ".html", ".css"):
            text = path.read_text(encoding="utf-8")
            code = without_docstrings(text) if path.suffix == ".py" else text
            assert not re.search(r"\b(crying|criers?|tearful|oxytocin|sharman)\b", code, re.I), path.name


def without_docstrings(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant("")
    return ast.unparse(tree)


# -- light to start ---------------------------------------------------------------------------------

SAMPLERS = {"pymc", "pytensor", "nutpie", "arviz", "numba"}
HEAVY = {"numpy", "scipy", "pandas", "matplotlib", "statsmodels", "xarray"} | SAMPLERS
COMMAND = """import sys; sys.argv = ['catharsis', *{0}]
try: import catharsis.cli.main as m; m.main()
except SystemExit: pass
"""
LOADS = {  # what a user does, and what it may not load
    "import catharsis": ("import catharsis\n", HEAVY),
    "dir(catharsis)": ("import catharsis; dir(catharsis); catharsis.__version__\n", HEAVY),
    "--help": (COMMAND.format(["--help"]), HEAVY),
    "report --help": (COMMAND.format(["report", "--help"]), HEAVY),
    "a wrong command": (COMMAND.format(["sideways"]), HEAVY),
    "format": (COMMAND.format(["format", "--check", "analyses/bcg"]), HEAVY),
    "check": (COMMAND.format(["check", "analyses/crying"]), {"pandas", "matplotlib", "statsmodels"} | SAMPLERS),
    "import": (
        COMMAND.format(["import", "analyses/bcg", "references/seed.bib", "--dry-run"]),
        {"pandas", "matplotlib", "statsmodels"} | SAMPLERS,
    ),
    "cite": (COMMAND.format(["cite", "gracanin2014soothing"]), {"pandas", "matplotlib", "statsmodels"} | SAMPLERS),
}


@pytest.mark.parametrize("name", LOADS)
def test_what_a_command_loads(name):
    code, forbidden = LOADS[name]
    done = python("-c", code + "import json, sys; print('\\n' + json.dumps(sorted(sys.modules)))")
    loaded = {module.split(".")[0] for module in json.loads(done.stdout.splitlines()[-1])}
    assert loaded & forbidden == set()


def test_every_public_name_has_a_home():
    import catharsis

    assert sorted(catharsis.__all__) == dir(catharsis)
    for name in catharsis.__all__:
        assert getattr(catharsis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'crying'"):
        _ = catharsis.crying


# -- citations --------------------------------------------------------------------------------------


def docstrings():
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield path, ast.get_docstring(node) or ""


def test_every_key_of_a_docstring_is_in_the_methods_bibliography():
    from catharsis.references.bibtex import read_references

    known = set(read_references(ROOT / "references" / "methods.bib"))
    cited = {}
    for path, text in docstrings():
        for group in re.findall(r"\[(@[^\]]+)\]", text):
            for key in re.findall(r"@([\w:.-]+)", group):
                cited.setdefault(key, path.relative_to(ROOT).as_posix())
    assert len(cited) > 20
    assert {key: where for key, where in cited.items() if key not in known} == {}


def test_every_key_of_the_methods_section_is_in_the_methods_bibliography():
    from catharsis.references.bibtex import methods_library

    code = (SOURCE / "report" / "methods.py").read_text(encoding="utf-8")
    keys = set(re.findall(r'"([a-z]+(?:[12]\d{3})[a-z]?)"', code))
    assert len(keys) > 15
    assert keys - set(methods_library()) == set()


# -- what is in git ---------------------------------------------------------------------------------


def tracked():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in names.decode().split("\0") if name and (ROOT / name).is_file()]


# in two parts, so that this file does not name them either
REGISTRIES = ["py" + "pi.org", "python" + "hosted.org", "conda." + "anaconda", "cran.r-" + "project", "npm" + "js.org"]
HERE = ["/wo" + "rk/", "/tmp" + "/w/", "/ro" + "ot/", "/ho" + "me/"]


def test_no_file_names_a_registry_or_a_path_of_this_machine():
    assert named() == []


def named():
    """Every registry and local path that a tracked file names."""
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {word}" for word in (*REGISTRIES, *HERE) if word in text]
    return found


def test_no_file_is_large():
    large = [path.name for path in tracked() if path.stat().st_size > 5_000_000]
    assert large == []


# -- README and Makefile ----------------------------------------------------------------------------


def block(language, after):
    """The first code block of a language after a heading."""
    text = README.split(after, 1)[1].split(f"```{language}\n", 1)[1].split("```", 1)[0]
    return textwrap.dedent(text)


def copied(root):
    shutil.copytree(ROOT / "references", root / "references")
    shutil.copytree(ROOT / "analyses", root / "analyses")
    return root


@pytest.mark.parametrize("page", ["engine.md", "criticism.md", "living.md", "checks.md"])
def test_every_block_of_a_page_runs(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, f"docs/{page}", "exec"), names)


def test_the_python_block_of_the_readme(tmp_path, monkeypatch):
    """Every line as it stands, except that the sampler is off here; the next test has it on."""
    import catharsis as ca

    code = block("python", "The same from Python:")
    assert 'ca.run("analyses/bcg")' in code
    monkeypatch.chdir(copied(tmp_path))
    run = ca.run
    monkeypatch.setattr(ca, "run", lambda folder: run(folder, sample=False))
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "reports" / "bcg" / "index.html").exists()
    assert 0 < float(names["fit"].params.iloc[0]) < 1
    assert names["post"].engine == "exact"
    assert len(names["table"]) == 13


def with_the_slip(root):
    """The README's example with the slip it shows, checked: (its three lines, our lines, the line of the slip)."""
    copied(root)
    (root / "references" / "new.bib").write_text(DOE, encoding="utf-8")
    example = README.split("## Add a study", 1)[1].split("```yaml", 1)[1].split("```", 1)[0].strip("\n")
    example = textwrap.indent(textwrap.dedent(example), "  ").replace("country: Norway", "cuontry: Norway")
    path = root / "analyses" / "crying" / "studies.yaml"
    text = f"{path.read_text(encoding='utf-8')}\n{example}\n"
    path.write_text(text, encoding="utf-8")
    done = python("-m", "catharsis", "check", "analyses/crying", cwd=root)
    assert done.returncode == 1
    shown = re.search(r"(?m)^ +analyses/crying/studies\.yaml:\d+:.*\n.*\n.*\n", README)[0]
    line = text[: text.index("cuontry")].count("\n") + 1
    return textwrap.dedent(shown).splitlines(), done.stderr.splitlines(), line


def test_the_slip_of_the_readme_is_found(tmp_path):
    shown, ours, line = with_the_slip(tmp_path)
    assert ours[0].startswith(f'analyses/crying/studies.yaml:{line}: "cuontry" is not a key of ')
    assert ours[1:3] == shown[1:]
    assert len(ours) == 4


def test_the_error_in_the_readme_is_the_real_one(tmp_path):
    shown, ours, _ = with_the_slip(tmp_path)
    assert re.sub(r":\d+:", ":", ours[0]) == re.sub(r":\d+:", ":", shown[0])


def test_the_yaml_of_another_topic_is_valid(tmp_path):
    from ruamel.yaml import YAML

    data = YAML(typ="safe").load(block("yaml", "## Another topic"))
    assert data["syntheses"][0]["id"] == "risk-ratio"


def test_every_file_and_command_that_the_readme_names_exists():
    done = python("-m", "catharsis", "--help")
    for command in ("check", "run", "report", "cite"):
        assert re.search(rf"\b{command}\b", done.stdout)
    for name in re.findall(r"`((?:analyses|references|reports|src|tests|docs)/[\w./-]+)`", README):
        assert (ROOT / name).exists() or name.startswith("reports/"), name
    for name in re.findall(r"`(\w+\.(?:md|cff|toml))`", README):
        assert (ROOT / name).exists(), name


def test_the_picture_of_the_readme_exists():
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / name).exists(), name


def test_make_alone_lists_the_targets():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    outputs = {
        subprocess.run(["make", "-s", *goal], cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
        for goal in ([], ["help"])
    }
    (listed,) = outputs
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*?## ", makefile, re.M)
    assert {"report", "test", "setup", "format", "lint", "types", "check", "golden"} <= set(targets)
    for target in targets:
        assert re.search(rf"^  make {target} +\S", listed, re.M), target
    named = set(re.findall(r"make ([a-z-]+)", README)) - {"lists"}
    assert named <= set(targets)


def test_the_server_runs_the_readme_s_test_command():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert text.rstrip().splitlines()[-1] == "make test"
    assert "make test" in README
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# -- the wheel --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel, unpacked far from the repository."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed; `make wheel` installs what it needs")
    root = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = python("-c", code, root)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(root / done.stdout.splitlines()[-1]) as archive:
        links = [entry.filename for entry in archive.infolist() if (entry.external_attr >> 16) & 0o170000 == 0o120000]
        archive.extractall(root / "site")
    return root / "site", links


def test_the_wheel_holds_what_the_package_reads(wheel):
    site, links = wheel
    assert links == []
    for name in ("report/templates/page.html", "report/templates/style.css", "py.typed", "references/methods.bib"):
        assert (site / "catharsis" / name).is_file(), name
    methods = site / "catharsis" / "references" / "methods.bib"
    assert not methods.is_symlink()
    assert methods.read_bytes() == (ROOT / "references" / "methods.bib").read_bytes()
    ours = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py")}
    assert {path.relative_to(site / "catharsis") for path in (site / "catharsis").rglob("*.py")} == ours
    (info,) = site.glob("catharsis-*.dist-info")
    assert {path.name for path in site.iterdir()} == {"catharsis", info.name}
    assert (info / "licenses" / "LICENSE").is_file()
    assert "catharsis = catharsis.cli.main:main" in (info / "entry_points.txt").read_text()


def test_the_wheel_runs_outside_the_repository(wheel, tmp_path):
    site, _ = wheel
    copied(tmp_path)
    where = python("-P", "-c", "import catharsis; print(catharsis.__file__)", cwd=tmp_path, source=site)
    assert where.stdout.startswith(str(site)), where.stderr
    done = python("-m", "catharsis", "run", "analyses/bcg", "--no-sampling", cwd=tmp_path, source=site)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "reports/bcg/results.json"
    data = json.loads((tmp_path / "reports" / "bcg" / "results.json").read_text(encoding="utf-8"))
    assert round(data["syntheses"]["risk-ratio"]["headline"]["estimate"], 4) == -0.7145
    assert 'id="ref-viechtbauer2005"' in (tmp_path / "reports" / "bcg" / "index.html").read_text(encoding="utf-8")


def test_metadata_agree():
    import tomllib

    import catharsis

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == catharsis.__version__
    assert f"version: {catharsis.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8").replace('"', "")
    assert f"## {catharsis.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower() for line in lines if "==" in line}
    wanted = {re.split(r"[<>=\[ ]", name)[0].lower() for name in project["dependencies"]}
    assert wanted <= pinned
