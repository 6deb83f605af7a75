"""The make targets, and what make says to a machine that lacks something."""

import subprocess
import sys

import pytest

from tests.architecture.source import ROOT


def make(*arguments):
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture
def interpreter(tmp_path):
    """Give a Python that fails whenever it is asked for `word`, and else is this one."""

    def without(word):
        path = tmp_path / "python3"
        path.write_text(f'#!/bin/sh\ncase "$*" in *{word}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
        path.chmod(0o755)
        return f"PYTHON={path}"

    return without


def test_make_lists_each_of_its_targets():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = next(line for line in makefile.splitlines() if line.startswith(".PHONY:")).split()[1:]
    shown = make("help").stdout
    assert [line.split()[1] for line in shown.splitlines()] == phony


def test_a_python_without_venv_is_told_the_package_to_install(interpreter, tmp_path):
    done = make("install", f"VENV={tmp_path / 'venv'}", "UV=", interpreter("ensurepip"))
    assert done.returncode != 0
    assert f"apt install python3.{sys.version_info.minor}-venv" in done.stdout


def test_an_old_python_is_told_how_to_choose_another(interpreter, tmp_path):
    done = make("install", f"VENV={tmp_path / 'venv'}", "UV=", interpreter("version_info"))
    assert done.returncode != 0
    assert "make PYTHON=" in done.stdout


def test_make_installs_with_hashes_first_and_the_checkout_second(tmp_path):
    plan = make("--dry-run", "install", f"VENV={tmp_path / 'venv'}", "UV=").stdout
    requirements = plan.index("--require-hashes -r requirements/runtime.txt")
    assert requirements < plan.index("--no-deps --no-build-isolation -e .")


@pytest.mark.parametrize("target", ["run", "test", "test-faults", "test-browser", "check"])
def test_a_target_brings_what_it_needs(target, tmp_path):
    needed = {"run": "runtime", "test-browser": "browser"}.get(target, "test")
    assert f"-r requirements/{needed}.txt" in make("--dry-run", target, f"VENV={tmp_path / 'venv'}", "UV=").stdout


def test_continuous_integration_runs_what_a_developer_runs():
    script = ROOT / ".ci/run"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert script.stat().st_mode & 0o111
    assert [line for line in script.read_text(encoding="utf-8").splitlines() if line.startswith("make ")] == [
        'make test || { say "make test-again"; make test-again; }',
        "make check",
    ]
    assert "    make test-browser" in script.read_text(encoding="utf-8")
