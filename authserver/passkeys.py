"""What browsers and authenticators say of passkeys (WebAuthn Level 3): asked for, read and checked.

Only importer of ``webauthn``, and only once a passkey has come: what a page asks for is built without it. The library
holds the ceremonies' rules (type, challenge, origin, RP ID, presence, signature). Here is what it leaves out, or what
has a refusal of its own: frames of other sites, user verification, keys that could never be used. The counter is
compared where it is stored (store/passkeys.py).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import UUID

from authserver.oauth.errors import ErrorCode, OAuthError, Refusal
from authserver.oauth.passkey_rules import CHALLENGE_LIFETIME, MAX_CREDENTIAL_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from webauthn.helpers.structs import AuthenticationCredential, RegistrationCredential

    from authserver.oauth.passkey_rules import Passkey

ALGORITHMS: Final = (-8, -7, -257)  # Ed25519, ES256, RS256 (WebAuthn Level 3 §5.4)
_TIMEOUT: Final = int(CHALLENGE_LIFETIME.total_seconds() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """Who asks for passkeys: ``rp_id`` is the issuer's host. ``origins`` are those that may ask, to the letter."""

    rp_id: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What a browser says a passkey has signed; nothing of it is proven yet."""

    credential_id: bytes
    challenge: bytes
    user_handle: bytes | None
    origin: str
    is_framed: bool
    credential: AuthenticationCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a right signature vouches for."""

    sign_count: int
    user_verified: bool
    backed_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a browser says a new passkey is; nothing of it is proven yet."""

    challenge: bytes
    origin: str
    is_framed: bool
    credential: RegistrationCredential


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A new passkey, to be stored."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    aaguid: UUID
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool


def find_relying_party(issuer: str) -> RelyingParty | None:
    """Return who asks for passkeys on our own pages; None for an issuer at an IP address (WebAuthn Level 3 §5.1.3)."""
    host = urlsplit(issuer).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return RelyingParty(rp_id=host, origins=(issuer,))
    return None


def build_request(
    party: RelyingParty, challenge: bytes, *, allowed: Iterable[Passkey] = (), verify: bool
) -> Mapping[str, object]:
    """Return what a page asks the browser for (PublicKeyCredentialRequestOptionsJSON); ``allowed`` empty: any."""
    return {
        "challenge": spell(challenge),
        "rpId": party.rp_id,
        "timeout": _TIMEOUT,
        "allowCredentials": [_describe(passkey) for passkey in allowed],
        "userVerification": "required" if verify else "preferred",
    }


def build_creation(
    party: RelyingParty, challenge: bytes, *, user_id: UUID, name: str, display_name: str, known: Iterable[Passkey]
) -> Mapping[str, object]:
    """Return what a page asks the browser to make (PublicKeyCredentialCreationOptionsJSON).

    An authenticator that holds one of the ``known`` makes no other.
    """
    return {
        "challenge": spell(challenge),
        "rp": {"id": party.rp_id, "name": party.rp_id},
        "user": {"id": spell(user_id.bytes), "name": name, "displayName": display_name},
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "timeout": _TIMEOUT,
        "excludeCredentials": [_describe(passkey) for passkey in known],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def parse_assertion(text: str) -> Assertion:
    """Read what came with a form (AuthenticationResponseJSON); raise ``PARAMETER_MALFORMED``."""
    from webauthn.helpers import parse_authentication_credential_json  # noqa: PLC0415 - see above

    try:
        credential = parse_authentication_credential_json(text)
        client_data = _ClientData.parse(credential.response.client_data_json)
    except _find_objections() as error:
        raise _malformed() from error
    return Assertion(
        credential_id=credential.raw_id,
        challenge=client_data.challenge,
        user_handle=credential.response.user_handle,
        origin=client_data.origin,
        is_framed=client_data.is_framed,
        credential=credential,
    )


def check_assertion(assertion: Assertion, party: RelyingParty, public_key: bytes, *, verify: bool) -> Use:
    """Check what was signed by this key, for the challenge in it (WebAuthn Level 3 §7.2).

    Raise ``PASSKEY_UNPROVEN``, ``PASSKEY_ORIGIN``, or ``PASSKEY_UNVERIFIED`` where the user had to be verified. Whether
    the challenge is ours, and the key the user's, is for the caller to say.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415 - see above

    _check_place(assertion, party)
    try:
        verified = verify_authentication_response(
            credential=assertion.credential,
            expected_challenge=assertion.challenge,
            expected_rp_id=party.rp_id,
            expected_origin=list(party.origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,
        )
    except _find_objections() as error:
        raise _unproven() from error
    if verify and not verified.user_verified:
        raise _unverified()
    return Use(
        sign_count=verified.new_sign_count,
        user_verified=verified.user_verified,
        backed_up=verified.credential_backed_up,
    )


def parse_registration(text: str) -> Registration:
    """Read what came with a form (RegistrationResponseJSON); raise ``PARAMETER_MALFORMED``."""
    from webauthn.helpers import parse_registration_credential_json  # noqa: PLC0415 - see above

    try:
        credential = parse_registration_credential_json(text)
        client_data = _ClientData.parse(credential.response.client_data_json)
    except _find_objections() as error:
        raise _malformed() from error
    return Registration(
        challenge=client_data.challenge,
        origin=client_data.origin,
        is_framed=client_data.is_framed,
        credential=credential,
    )


def check_registration(registration: Registration, party: RelyingParty) -> NewKey:
    """Check a new passkey, for the challenge in it (WebAuthn Level 3 §7.1).

    Raise ``PASSKEY_UNPROVEN``, ``PASSKEY_ORIGIN`` or ``PASSKEY_UNVERIFIED``. Whether the challenge is ours is for the
    caller to say. An attestation, which nobody asked for, has to be in order, and proves nothing.
    """
    from webauthn import verify_registration_response  # noqa: PLC0415 - see above
    from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography  # noqa: PLC0415
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415 - the same
    from webauthn.helpers.structs import CredentialDeviceType  # noqa: PLC0415 - the same

    _check_place(registration, party)
    try:
        verified = verify_registration_response(
            credential=registration.credential,
            expected_challenge=registration.challenge,
            expected_rp_id=party.rp_id,
            expected_origin=list(party.origins),
            supported_pub_key_algs=[COSEAlgorithmIdentifier(algorithm) for algorithm in ALGORITHMS],
        )
        decoded_public_key_to_cryptography(decode_credential_public_key(verified.credential_public_key))
    except _find_objections() as error:
        raise _unproven() from error
    if not verified.user_verified:
        raise _unverified()
    if len(verified.credential_id) > MAX_CREDENTIAL_ID:
        raise _unproven()
    return NewKey(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        aaguid=UUID(verified.aaguid),
        transports=tuple(sorted(way.value for way in registration.credential.response.transports or ())),
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
    )


def spell(binary: bytes) -> str:
    """Return bytes as they travel in these documents: base64url without padding."""
    return urlsafe_b64encode(binary).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class _ClientData:
    """The part of a browser's word that says which challenge to look for, and what has an answer of its own.

    ``is_framed``: the page that asked stood in a frame of another site. None of ours can.
    """

    challenge: bytes
    origin: str
    is_framed: bool

    @classmethod
    def parse(cls, document: bytes) -> _ClientData:
        from webauthn.helpers import parse_client_data_json  # noqa: PLC0415 - see above

        client_data = parse_client_data_json(document)
        is_framed = bool(client_data.cross_origin) or "topOrigin" in json.loads(document)
        return cls(challenge=client_data.challenge, origin=client_data.origin, is_framed=is_framed)


def _check_place(said: Assertion | Registration, party: RelyingParty) -> None:
    """Refuse what was signed at a place that may not ask: in a frame of another site, or at another origin."""
    if said.is_framed:
        raise _unproven()
    if said.origin not in party.origins:
        description = "the passkey was asked for at an origin that may not ask here"
        cause = ValueError(f"the origin is {said.origin!r}")
        raise OAuthError(ErrorCode.ACCESS_DENIED, description, Refusal.PASSKEY_ORIGIN) from cause


def _find_objections() -> tuple[type[Exception], ...]:
    """Return what the library raises over what a stranger wrote: its own errors, and those it does not catch."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415 - with the library
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415 - see above

    uncaught = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)
    return (WebAuthnException, InvalidSignature, UnsupportedAlgorithm, *uncaught)


def _describe(passkey: Passkey) -> Mapping[str, object]:
    return {"type": "public-key", "id": spell(passkey.credential_id), "transports": list(passkey.transports)}


def _malformed() -> OAuthError:
    return OAuthError(ErrorCode.INVALID_REQUEST, "this is not what a browser says", Refusal.PARAMETER_MALFORMED)


def _unproven() -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, "the passkey proves nothing here", Refusal.PASSKEY_UNPROVEN)


def _unverified() -> OAuthError:
    return OAuthError(ErrorCode.ACCESS_DENIED, "the passkey did not verify its user", Refusal.PASSKEY_UNVERIFIED)
