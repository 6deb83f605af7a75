"""The README's programs, run as they are printed where the wheel is installed, and nothing that it does not name."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HERE = Path(__file__).parent
ROOT = HERE.parent
README = ROOT / "README.md"
MANUAL = ROOT.parents[1] / "docs" / "how-to" / "verify-tokens.md"
FRAMEWORKS = {
    "FastAPI": "fastapi",
    "Starlette": "starlette",
    "Flask": "flask",
    "Django REST framework": "drf",
    "Django": "django",
    "Any other ASGI application": None,
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel, with the build backend that the lock file has; nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True, timeout=100)
    [wheel] = folder.glob("*.whl")
    return wheel


def closure(requirements, extra=None):
    """The distributions that these requirements need, as a package installer would collect them, by name."""
    found, waiting = {}, [(requirement, extra) for requirement in requirements]
    while waiting:
        text, asking = waiting.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": asking or ""}):
            continue
        installed = distribution(requirement.name)
        assert requirement.specifier.contains(installed.version), text
        wanted = {"", *requirement.extras}
        if wanted <= found.get(requirement.name, (None, set()))[1]:
            continue
        found[requirement.name] = installed, wanted
        waiting += [(one, extra) for one in installed.requires or () for extra in wanted]
    return [installed for installed, _ in found.values()]


def bring(site, needed):
    """Put distributions of this environment into another one's site-packages, as links."""
    for one in needed:
        for name in {file.parts[0] for file in one.files if file.parts[0] not in {"..", "__pycache__"}}:
            if not (site / name).exists():
                (site / name).symlink_to(one.locate_file(name))


@pytest.fixture
def environment(wheel, tmp_path):
    """Make an empty environment with the wheel and what it names for an extra; return its interpreter."""

    def make(extra):
        venv.EnvBuilder(with_pip=False, symlinks=True).create(tmp_path)
        [site] = (tmp_path / "lib").glob("python3*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)  # a wheel without scripts is installed by unpacking it
        [metadata] = site.glob("authserver_verifier-*.dist-info")
        bring(site, closure(Distribution.at(metadata).requires, extra))
        return tmp_path / "bin" / "python"

    return make


def run(python, page, heading):
    """Run the lines under a heading; return status, challenge and body of the three answers."""
    program = [python, "-W", "error", HERE / "run_readme.py", page, heading]
    clean = {"PATH": os.environ["PATH"]}
    done = subprocess.run(program, capture_output=True, text=True, timeout=100, env=clean, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("heading", "extra"), FRAMEWORKS.items())
def test_the_lines_for_each_framework_guard_an_endpoint_where_only_the_wheel_is_installed(heading, extra, environment):
    allowed, narrow, anonymous = run(environment(extra), README, heading)
    assert [allowed[0], narrow[0], anonymous[0]] == [200, 403, 401]
    assert allowed[2] == {"owner": "alice"}
    assert 'error="insufficient_scope"' in narrow[1]
    assert anonymous[1].startswith('Bearer realm="https://notes.example.com"')


@pytest.mark.skipif(not MANUAL.exists(), reason="the manual is in the issuer's repository")
@pytest.mark.parametrize("heading", [heading for heading in FRAMEWORKS if FRAMEWORKS[heading]])
def test_the_lines_in_the_manual_do_the_same(heading):
    answers = run(sys.executable, MANUAL, heading)
    assert [answer[0] for answer in answers] == [200, 403, 401]


@pytest.mark.skipif(importlib.util.find_spec("ensurepip") is None, reason="this Python brings no pip")
def test_pip_installs_the_wheel_and_misses_nothing(wheel, tmp_path):
    venv.EnvBuilder(with_pip=True, symlinks=True).create(tmp_path)
    [site] = (tmp_path / "lib").glob("python3*/site-packages")
    pip = [tmp_path / "bin" / "python", "-I", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", wheel], capture_output=True, check=True, timeout=100)
    before = subprocess.run([*pip, "check"], capture_output=True, text=True, check=False, timeout=100)
    assert "requires httpx2" in before.stdout, "the wheel alone names what it needs"
    [metadata] = site.glob("authserver_verifier-*.dist-info")
    bring(site, closure(Distribution.at(metadata).requires))
    after = subprocess.run([*pip, "check"], capture_output=True, text=True, check=False, timeout=100)
    assert after.returncode == 0, after.stdout
    program = [tmp_path / "bin" / "python", "-I", "-W", "error", "-c", "import authserver_verifier.testing"]
    subprocess.run(program, check=True, timeout=60)


def test_the_environment_holds_no_framework_and_no_server_unasked(environment):
    names = ["authserver", "starlette", "fastapi", "flask", "django", "rest_framework", "sqlalchemy"]
    program = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    done = subprocess.run(
        [environment(None), "-I", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_framework_of_the_readme_has_its_extra_and_its_lines():
    text = README.read_text()
    for heading in FRAMEWORKS:
        assert f"\n## {heading}\n" in text
    promised = re.search(r"pip install authserver-verifier(.*)", text)[1]
    assert set(re.findall(r"\[(\w+)]", promised)) == set(FRAMEWORKS.values()) - {None}


def test_the_wheel_holds_every_module_the_types_and_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {f"authserver_verifier/{path.name}" for path in (ROOT / "authserver_verifier").glob("*.py")}
    assert modules | {"authserver_verifier/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith("tests")]


def test_the_lines_for_tests_hold():
    section = README.read_text().partition("\n## In your tests\n")[2]
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL)[1], {})


def test_no_framework_is_needed_to_verify_a_token():
    blocked = "['starlette', 'fastapi', 'flask', 'django', 'rest_framework']"
    program = f"import sys; sys.modules |= dict.fromkeys({blocked}); import authserver_verifier.asgi"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_the_benchmark_prints_a_line_for_each_algorithm_and_says_what_is_computed():
    program = [sys.executable, ROOT / "benchmarks" / "verify.py", "--rounds", "5"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=100, check=True)
    head, *lines, computed = done.stdout.splitlines()
    assert [column in head for column in ("bare signature", "new token", "seen, request")] == [True] * 3
    assert [line.split()[0] for line in lines] == ["ES256", "EdDSA", "RS256", "PS256"]
    signing, scaled = re.fullmatch(r".* takes ([\d.]+) us here\. Computed, .* cost ([\d.]+) us\.", computed).groups()
    new_token = float(lines[0].split()[2])
    assert float(scaled) == pytest.approx(new_token * 20 / float(signing), rel=0.01), "in proportion to the signature"
