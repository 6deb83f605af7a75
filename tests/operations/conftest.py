"""An operator at a fresh database, and what the audit wrote down."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from authserver.hasher import Hasher
from authserver.operations.clients import Offer
from authserver.operations.operator import Operator
from authserver.sealing import keyring_file
from authserver.sealing.subkeys import make_master
from authserver.settings import Settings
from authserver.store import masters
from authserver.store.engine import Engine

OFFER = Offer(
    metadata={
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "none",
            "private_key_jwt",
        ],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "RS256"],
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "introspection_signing_alg_values_supported": ["ES256", "RS256"],
    },
    allow_http=lambda _: False,
)


@pytest.fixture
async def operator(database_url: str) -> AsyncIterator[Operator]:
    settings = Settings(issuer="https://id.example.org", database_url=database_url, sealing_key_file=Path("unused"))
    engine = Engine.open(database_url)
    hasher = Hasher(threads=1, memory_kib=64, passes=1)
    yield Operator(actor="cli:tester", engine=engine, settings=settings, hasher=hasher)
    hasher.close()
    await engine.close()


@pytest.fixture
async def sealing_operator(operator: Operator, tmp_path: Path) -> Operator:
    """Give an operator at an installation with a sealing key and a master."""
    path = tmp_path / "sealing.key"
    box = keyring_file.create(path, sealed_rows_exist=False)
    async with operator.engine.begin() as tx:
        await masters.add(tx, make_master(box, key_id=0, now=await tx.now()))
    return replace(operator, settings=operator.settings.model_copy(update={"sealing_key_file": path}))


@pytest.fixture
def offer() -> Offer:
    return OFFER
