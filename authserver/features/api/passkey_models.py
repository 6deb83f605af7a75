"""What of a passkey goes in and out of ``/api``, in the documents that browsers and phones take and give."""

# ruff: noqa: N815 - the members are spelled as WebAuthn Level 3 §5.1 does

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

EXAMPLE: Final = {
    "id": "u5K1…",
    "rawId": "u5K1…",
    "type": "public-key",
    "response": {
        "clientDataJSON": "eyJ0…",
        "authenticatorData": "SZYN…",
        "signature": "MEUC…",
        "userHandle": "AYkA…",
    },
}

# base64url without padding (WebAuthn Level 3 §3)
Binary = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[A-Za-z0-9_-]+$")]


class SignedResponse(BaseModel):
    """What the passkey signed, and with what (AuthenticatorAssertionResponseJSON, WebAuthn Level 3 §5.1)."""

    clientDataJSON: Binary
    authenticatorData: Binary
    signature: Binary
    userHandle: Annotated[str, StringConstraints(max_length=86, pattern=r"^[A-Za-z0-9_-]*$")] | None = None


class SignedPasskey(BaseModel):
    """What a browser or phone answers (AuthenticationResponseJSON, WebAuthn Level 3 §5.1): `credential.toJSON()`.

    Members that are not named here are passed over.
    """

    id: Binary
    rawId: Binary
    type: Literal["public-key"]
    response: SignedResponse


class AllowedPasskey(BaseModel):
    """One of the user's passkeys (PublicKeyCredentialDescriptorJSON)."""

    id: str
    type: Literal["public-key"]
    transports: list[str]


class PasskeyOptions(BaseModel):
    """What to ask the browser or phone for (PublicKeyCredentialRequestOptionsJSON, WebAuthn Level 3 §5.1.9)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "challenge": "Xq0f…",
                    "rpId": "login.example",
                    "timeout": 1_800_000,
                    "allowCredentials": [],
                    "userVerification": "required",
                }
            ]
        }
    )

    challenge: Annotated[str, Field(description="Good once, and for this app only.")]
    rpId: str
    timeout: Annotated[int, Field(description="Milliseconds.")]
    allowCredentials: Annotated[
        list[AllowedPasskey], Field(description="Empty: any passkey of this server, which says whose it is.")
    ]
    userVerification: Literal["required", "preferred"]
