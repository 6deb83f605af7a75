"""Who imports whom, and where an exception may be caught whole."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, imported_modules, parse, python_files, relative

# What of Authlib serves inside the server, and nothing else: its values and validation (docs/decisions/0001). A new
# name here is a decision; its server framework and its deprecated JOSE never come in.
AUTHLIB_IN_USE = {
    "authserver/oauth/claims.py": {"authlib.oidc.core.util.create_half_hash"},
    "authserver/oauth/client_metadata.py": {
        "authlib.oauth2.rfc7591.claims.ClientMetadataClaims",
        "authlib.oauth2.rfc7591.claims.InvalidClaimError",
        "authlib.oidc.registration.claims.ClientMetadataClaims",
    },
    "authserver/oauth/errors.py": {"authlib.oauth2.base.invalid_error_characters"},
    "authserver/oauth/pkce.py": {"authlib.oauth2.rfc7636.create_s256_code_challenge"},
    "authserver/oauth/upstream_rules.py": {"authlib.oidc.core.util.create_half_hash"},
    # the client of docs/decisions/0020
    "authserver/steps/upstream_client.py": {"authlib.oauth2.auth.ClientAuth", "authlib.oauth2.client.OAuth2Client"},
}

# Where one unit of work must not take others down, and where a start that fails is told to the server. Each of them
# logs the traceback.
MAY_SWALLOW_EVERYTHING = {
    "authserver/app.py",
    "authserver/jobs/runner.py",
    "authserver/sealing/wrapping.py",  # a plug-in is a stranger's code; whatever it raises stops the start in one line
    "authserver/store/batcher.py",
    "authserver/store/code_batches.py",
    "authserver/store/grant_batches.py",
    "authserver/web/edge.py",
}

# Imported where they are used: each costs a fresh `serve` process memory and start-up time.
LAZY = ["aiosmtplib", "alembic", "fastapi", "pyotp", "segno", "typer", "webauthn", "authlib.integrations"]
# The same for what is there whether or not it is used: structlog would bring rich, which brings the others.
NEVER = ["rich.console", "pygments", "attr"]
BY_DATABASE = ["psycopg"]  # a server on SQLite has no use for it


def test_the_import_contracts_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_modules_of_authlib_in_use_are_the_listed_ones():
    in_use: dict[str, set[str]] = {}
    for path in python_files("authserver"):
        for name in imported_modules(path):
            if name.startswith("authlib"):
                in_use.setdefault(relative(path), set()).add(name)
    assert in_use == AUTHLIB_IN_USE


@pytest.mark.parametrize("path", python_files("authserver/oauth"), ids=relative)
def test_the_protocol_is_plain_python_and_authlib(path):
    roots = {name.split(".")[0] for name in imported_modules(path)}
    foreign = roots - set(sys.stdlib_module_names) - {"authlib", "authserver"}
    assert not foreign
    own = {name for name in imported_modules(path) if name.startswith("authserver")}
    assert not [name for name in own if not name.startswith("authserver.oauth.")]


def _swallows_everything(node: ast.AST) -> bool:
    """Say whether a handler takes every exception and never raises it again, as one that only cleans up does."""
    if not isinstance(node, ast.ExceptHandler) or any(isinstance(n, ast.Raise) and not n.exc for n in ast.walk(node)):
        return False
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in caught)


def test_everything_is_swallowed_only_where_one_unit_of_work_must_not_take_others_down():
    places = {
        relative(path)
        for path in python_files("authserver")
        if any(_swallows_everything(node) for node in ast.walk(parse(path)))
    }
    assert places == MAY_SWALLOW_EVERYTHING


@pytest.mark.parametrize("path", python_files("clients"), ids=relative)
def test_no_sample_imports_the_server(path):
    assert not [name for name in imported_modules(path) if name.split(".")[0] == "authserver"]


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("authserver.app", LAZY + NEVER + BY_DATABASE),
        ("authserver.cli.serve, authserver.cli.serving", NEVER + BY_DATABASE),
    ],
)
def test_a_fresh_server_process_has_not_imported_what_few_requests_need(imported, absent):
    program = f"import sys, {imported}; print(*[name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
