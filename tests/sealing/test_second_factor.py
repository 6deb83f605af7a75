"""Secrets of authenticator apps and recovery codes at rest: RFC 6238, RFC 4226 §4; SECURITY row 108."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest

from authserver.sealing.box import Box, UnsealError
from authserver.sealing.second_factor import (
    describe_totp,
    find_recovery_hashes,
    find_step,
    hash_recovery_code,
    new_recovery_codes,
    new_totp_secret,
    open_totp_secret,
    seal_totp_secret,
)
from authserver.sealing.subkeys import Subkeys, make_master

NOW = datetime(2026, 11, 21, 12, 0, 15, tzinfo=UTC)
ANN, BEN = UUID(int=1), UUID(int=2)
BOX = Box({"k1": bytes(32)}, current="k1")
MASTERS = [make_master(BOX, key_id=key_id, now=NOW) for key_id in (1, 2)]
OLD, BOTH = Subkeys(MASTERS[:1], BOX), Subkeys(MASTERS, BOX)


def test_a_secret_opens_for_its_user_alone_and_after_the_master_was_changed():
    secret = new_totp_secret()
    assert len(secret) == 32
    sealed = seal_totp_secret(OLD, secret, ANN)
    assert secret.encode() not in sealed
    assert open_totp_secret(BOTH, sealed, ANN) == secret
    with pytest.raises(UnsealError):
        open_totp_secret(BOTH, sealed, BEN)


@pytest.mark.parametrize(("off", "known"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(off, known):
    secret = new_totp_secret()
    step = int(NOW.timestamp()) // 30 + off
    assert find_step(secret, pyotp.TOTP(secret).at(NOW + timedelta(seconds=30 * off)), NOW) == (step if known else None)


def test_the_vectors_of_rfc_6238_appendix_b():
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert find_step(secret, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


def test_an_app_learns_account_and_server():
    address = describe_totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", account="ann", issuer="id.example.org")
    assert address == "otpauth://totp/id.example.org:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=id.example.org"


def test_recovery_codes_are_stored_as_what_is_worth_nothing_and_found_after_the_master_was_changed():
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    stored = hash_recovery_code(OLD, codes[0], ANN)
    assert stored in find_recovery_hashes(BOTH, codes[0], ANN)
    assert stored not in find_recovery_hashes(BOTH, codes[0], BEN)
    assert stored not in find_recovery_hashes(BOTH, codes[1], ANN)
