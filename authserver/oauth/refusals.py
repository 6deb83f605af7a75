"""Every rule by which this server says no, by name (``authserver.oauth.errors`` has the rest of an error)."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The rule that fired: for the log, the audit and the manual, never for the wire.

    Each member is written as (name, source, meaning); ``source`` names the section it implements.
    """

    source: str
    meaning: str

    def __new__(cls, value: str, source: str, meaning: str) -> Refusal:
        """Make a string that carries its source and its meaning."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.source = source
        member.meaning = meaning
        return member

    # requests in general
    PARAMETERS_MALFORMED = "parameters_malformed", "RFC 6749 appendix B", "The parameters are not form-encoded UTF-8."
    PARAMETERS_TOO_MANY = "parameters_too_many", "RFC 6749 §3.2", "The request has more parameters than are read."
    PARAMETER_REPEATED = "parameter_repeated", "RFC 6749 §3.1, §3.2", "A parameter was sent more than once."
    PARAMETER_MISSING = "parameter_missing", "RFC 6749 §5.2", "A required parameter was not sent, or sent empty."
    PARAMETER_MALFORMED = "parameter_malformed", "RFC 6749 §5.2", "A parameter has a value that cannot be read."
    PARAMETER_TOO_LONG = "parameter_too_long", "RFC 6749 §4.1.2.1", "A parameter is longer than the server keeps."
    PATH_UNKNOWN = "path_unknown", "RFC 9110 §15.5.5", "There is nothing at this address."
    METHOD_NOT_ALLOWED = "method_not_allowed", "RFC 9110 §15.5.6", "The endpoint does not answer this HTTP method."
    CONTENT_TYPE_WRONG = (
        "content_type_wrong",
        "RFC 6749 §3.2",
        "The body has another media type than the endpoint reads.",
    )
    BODY_TOO_LARGE = "body_too_large", "RFC 9110 §15.5.14", "The body is larger than the endpoint reads."
    BODY_MALFORMED = "body_malformed", "RFC 7591 §3.1", "The JSON body cannot be read."
    SERVER_STALE = "server_stale", "DESIGN: MAX_STALE", "The process has not heard from its database for too long."
    SERVER_BUSY = "server_busy", "RFC 9110 §15.6.4", "The queue for this work is full."
    STORAGE_UNAVAILABLE = "storage_unavailable", "RFC 9110 §15.6.4", "The database did not answer in time."
    BUG = "bug", "RFC 6749 §4.1.2.1", "An unexpected error; the log has the traceback under the request's id."

    # client authentication
    CLIENT_UNKNOWN = "client_unknown", "RFC 6749 §5.2", "No client has this client_id."
    CLIENT_DISABLED = "client_disabled", "RFC 6749 §5.2", "The client is disabled or deleted."
    CLIENT_NOT_IDENTIFIED = "client_not_identified", "RFC 6749 §3.2.1", "The request names no client."
    CLIENT_SECRET_WRONG = (
        "client_secret_wrong",
        "RFC 6749 §2.3.1",
        "The client secret is not one of the client's live secrets.",
    )
    CLIENT_SECRET_EXPIRED = (
        "client_secret_expired",
        "RFC 7591 §3.2.1",
        "The client secret was right once and has expired.",
    )
    CLIENT_METHOD_MISMATCH = (
        "client_method_mismatch",
        "RFC 7591 §2",
        "The client authenticates in another way than it registered.",
    )
    CLIENT_METHODS_COMBINED = (
        "client_methods_combined",
        "RFC 6749 §2.3",
        "More than one client authentication method was used.",
    )
    CLIENT_ID_MISMATCH = (
        "client_id_mismatch",
        "RFC 6749 §2.3.1, RFC 7521 §4.2",
        "client_id differs from the authenticated client.",
    )
    BASIC_MALFORMED = "basic_malformed", "RFC 6749 §2.3.1", "The Basic credentials cannot be decoded."
    AUTHORIZATION_SCHEME_UNKNOWN = (
        "authorization_scheme_unknown",
        "RFC 6749 §5.2",
        "The Authorization header uses a scheme the endpoint does not know.",
    )
    CLIENT_THROTTLED = (
        "client_throttled",
        "RFC 6749 §2.3.1",
        "Too many failed authentications of this client from this address.",
    )
    ASSERTION_MALFORMED = "assertion_malformed", "RFC 7523 §3", "The client assertion is no JWT that can be read."
    ASSERTION_TYPE_UNKNOWN = (
        "assertion_type_unknown",
        "RFC 7523 §2.2",
        "client_assertion_type is not the JWT bearer type.",
    )
    ASSERTION_ALGORITHM = (
        "assertion_algorithm",
        "RFC 7523 §3, RFC 8725 §3.1",
        "The client assertion is signed with an algorithm the client did not register.",
    )
    ASSERTION_KEY_UNKNOWN = "assertion_key_unknown", "RFC 7523 §3", "No key of the client fits the assertion's header."
    ASSERTION_SIGNATURE = "assertion_signature", "RFC 7523 §3", "The client assertion's signature is wrong."
    ASSERTION_CLAIMS = "assertion_claims", "RFC 7523 §3", "A claim of the client assertion is missing or wrong."
    ASSERTION_AUDIENCE = (
        "assertion_audience",
        "RFC 7523 §3, rfc7523bis",
        "The client assertion is meant for another audience.",
    )
    ASSERTION_EXPIRED = "assertion_expired", "RFC 7523 §3", "The client assertion is not yet, or no longer, valid."
    ASSERTION_TOO_LONG_LIVED = (
        "assertion_too_long_lived",
        "RFC 7523 §3",
        "The client assertion lives longer than the server accepts.",
    )
    ASSERTION_REPLAYED = "assertion_replayed", "RFC 7523 §3", "The client assertion's jti was used before."
    CLIENT_KEYS_UNAVAILABLE = "client_keys_unavailable", "RFC 7591 §2", "The client's jwks_uri gave no keys."

    # authorization endpoint
    REDIRECT_URI_MISSING = "redirect_uri_missing", "RFC 6749 §3.1.2.3", "redirect_uri is needed in this request."
    REDIRECT_URI_NOT_REGISTERED = (
        "redirect_uri_not_registered",
        "RFC 6749 §3.1.2.4",
        "redirect_uri is not one of the client's.",
    )
    RESPONSE_TYPE_MISSING = "response_type_missing", "RFC 6749 §3.1.1", "response_type is missing."
    RESPONSE_TYPE_UNSUPPORTED = "response_type_unsupported", "RFC 6749 §3.1.1", "Only response_type=code is offered."
    RESPONSE_TYPE_NOT_ALLOWED = (
        "response_type_not_allowed",
        "RFC 7591 §2",
        "The client did not register this response_type.",
    )
    RESPONSE_MODE_UNSUPPORTED = (
        "response_mode_unsupported",
        "OAuth 2.0 Multiple Response Types §2.1",
        "The response_mode is unknown, or unsafe for codes.",
    )
    GRANT_TYPE_NOT_ALLOWED = "grant_type_not_allowed", "RFC 6749 §5.2", "The client did not register this grant type."
    GRANT_TYPE_UNSUPPORTED = "grant_type_unsupported", "RFC 6749 §5.2", "The server does not offer this grant type."
    CHALLENGE_MISSING = "challenge_missing", "RFC 7636 §4.4.1", "The client must use PKCE and sent no code_challenge."
    CHALLENGE_MALFORMED = (
        "challenge_malformed",
        "RFC 7636 §4.2",
        "code_challenge is not a base64url SHA-256 of 43 characters.",
    )
    CHALLENGE_METHOD_UNSUPPORTED = (
        "challenge_method_unsupported",
        "RFC 7636 §4.3, §4.4.1",
        "Only code_challenge_method=S256 is offered.",
    )
    SCOPE_MALFORMED = "scope_malformed", "RFC 6749 §3.3", "scope has characters it may not have."
    SCOPE_UNKNOWN = "scope_unknown", "RFC 6749 §3.3", "scope names something that does not exist."
    SCOPE_NOT_ALLOWED = "scope_not_allowed", "RFC 6749 §3.3", "scope asks for more than the client registered."
    SCOPE_NOT_GRANTED = "scope_not_granted", "RFC 6749 §6", "scope asks for more than was granted."
    SCOPE_EMPTY = "scope_empty", "RFC 6749 §3.3", "Nothing is left that the user may have."
    SCOPE_AMBIGUOUS = (
        "scope_ambiguous",
        "RFC 8707 §2.2",
        "The scopes belong to several resources and no resource was named.",
    )
    RESOURCE_MALFORMED = "resource_malformed", "RFC 8707 §2", "resource is not an absolute URI without fragment."
    RESOURCE_UNKNOWN = "resource_unknown", "RFC 8707 §2", "No such resource is registered here."
    RESOURCE_NOT_GRANTED = "resource_not_granted", "RFC 8707 §2.2", "resource was not part of the grant."
    PROMPT_MALFORMED = (
        "prompt_malformed",
        "OIDC Core §3.1.2.1",
        "prompt has an unknown value, or none together with others.",
    )
    MAX_AGE_MALFORMED = "max_age_malformed", "OIDC Core §3.1.2.1", "max_age is not a whole number of seconds."
    REQUEST_OBJECT_UNSUPPORTED = "request_object_unsupported", "OIDC Core §6.1", "Request objects are not offered."
    REQUEST_URI_UNSUPPORTED = (
        "request_uri_unsupported",
        "OIDC Core §6.2, RFC 9101 §10.4",
        "request_uri is not fetched from anywhere.",
    )
    REGISTRATION_PARAMETER_UNSUPPORTED = (
        "registration_parameter_unsupported",
        "OIDC Core §7.2.1",
        "The registration parameter is not offered.",
    )
    HINT_MALFORMED = "hint_malformed", "OIDC Core §3.1.2.1", "id_token_hint is no ID token of this issuer."
    HINT_OF_ANOTHER_USER = (
        "hint_of_another_user",
        "OIDC Core §3.1.2.1",
        "id_token_hint names another user than the one signed in.",
    )
    LOGIN_NEEDED = (
        "login_needed",
        "OIDC Core §3.1.2.6",
        "prompt=none was asked and nobody is signed in, or not recently enough.",
    )
    CONSENT_NEEDED = "consent_needed", "OIDC Core §3.1.2.6", "prompt=none was asked and the user has not agreed yet."
    ACR_UNMET = "acr_unmet", "RFC 9470 §5", "The requested authentication strength cannot be reached."
    USER_DENIED = "user_denied", "RFC 6749 §4.1.2.1", "The user did not allow it."
    USER_DISABLED = "user_disabled", "RFC 6749 §4.1.2.1", "The user's account is turned off."
    USER_GONE = "user_gone", "RFC 6749 §5.2", "The user no longer exists."
    SESSION_ENDED = "session_ended", "RFC 6749 §5.2", "The session this rests on has ended."
    CONSENT_WITHDRAWN = "consent_withdrawn", "RFC 6749 §5.2", "The user's consent was taken back."
    TRANSACTION_UNKNOWN = "transaction_unknown", "RFC 9700 §4.7", "No such sign-in is under way in this browser."
    TRANSACTION_EXPIRED = "transaction_expired", "RFC 9700 §4.7", "The sign-in took too long."

    # codes
    CODE_UNKNOWN = "code_unknown", "RFC 6749 §4.1.3", "The authorization code was never issued, or was purged."
    CODE_OF_ANOTHER_CLIENT = "code_of_another_client", "RFC 6749 §4.1.3", "The code was issued to another client."
    CODE_REPLAYED = "code_replayed", "RFC 6749 §4.1.2", "The code was used before; its grant is revoked."
    CODE_EXPIRED = "code_expired", "RFC 6749 §4.1.2", "The code is too old."
    REDIRECT_URI_DIFFERS = (
        "redirect_uri_differs",
        "RFC 6749 §4.1.3",
        "redirect_uri is not the one of the authorization request.",
    )
    VERIFIER_MISSING = "verifier_missing", "RFC 7636 §4.6", "The code carries a challenge and no code_verifier came."
    VERIFIER_MALFORMED = (
        "verifier_malformed",
        "RFC 7636 §4.1",
        "code_verifier is too short, too long, or has other characters.",
    )
    VERIFIER_WRONG = "verifier_wrong", "RFC 7636 §4.6", "code_verifier does not fit the challenge."
    VERIFIER_WITHOUT_CHALLENGE = (
        "verifier_without_challenge",
        "RFC 9700 §4.8.2",
        "A code_verifier came for a code without challenge.",
    )

    # refresh tokens and grants
    REFRESH_TOKEN_MALFORMED = (
        "refresh_token_malformed",
        "RFC 6749 §6",
        "The refresh token is not one of ours (spelling, key or MAC).",
    )
    REFRESH_TOKEN_UNKNOWN = (
        "refresh_token_unknown",
        "RFC 6749 §6",
        "The refresh token's grant does not exist, or its secret differs.",
    )
    REFRESH_TOKEN_OF_ANOTHER_CLIENT = (
        "refresh_token_of_another_client",
        "RFC 6749 §6",
        "The refresh token was issued to another client.",
    )
    REFRESH_TOKEN_BINDING = "refresh_token_binding", "RFC 9700 §4.14.2", "The refresh token is bound to another key."
    REFRESH_TOKEN_EXPIRED = (
        "refresh_token_expired",
        "RFC 6749 §5.2",
        "The grant is past its absolute end, or was idle for too long.",
    )
    REFRESH_TOKEN_REUSED = (
        "refresh_token_reused",
        "RFC 9700 §4.14.2",
        "An old refresh token came again; its grant is revoked.",
    )
    GRANT_REVOKED = "grant_revoked", "RFC 6749 §5.2", "The grant was revoked."

    # tokens presented to us
    TOKEN_MISSING = "token_missing", "RFC 6750 §3.1", "The request carries no access token."
    TOKEN_REPEATED = "token_repeated", "RFC 6750 §2", "The access token was sent in more than one way."
    TOKEN_MALFORMED = "token_malformed", "RFC 6750 §3.1", "The token is no access token of this issuer."
    TOKEN_EXPIRED = "token_expired", "RFC 6750 §3.1", "The access token has expired."
    TOKEN_REVOKED = "token_revoked", "RFC 6750 §3.1", "The access token's grant is revoked or gone."
    TOKEN_SCOPE = "token_scope", "RFC 6750 §3.1", "The access token lacks a scope this needs."
    CALLER_WITHOUT_CREDENTIALS = (
        "caller_without_credentials",
        "RFC 7662 §2.1",
        "A client that cannot authenticate asked about a token.",
    )
    TOKEN_TYPE_UNSUPPORTED = "token_type_unsupported", "RFC 7009 §2.2.1", "This kind of token cannot be revoked."

    # status lists
    STATUS_LIST_UNKNOWN = "status_list_unknown", "RFC 9110 §15.5.5", "There is no status list of this number."
    STATUS_LIST_OF_THE_PAST = (
        "status_list_of_the_past",
        "draft-ietf-oauth-status-list §8.4",
        "A status list of an earlier time was asked for; only the current one is served.",
    )
    MEDIA_TYPE_NOT_OFFERED = (
        "media_type_not_offered",
        "RFC 9110 §15.5.7",
        "The Accept header leaves out the only media type that there is.",
    )

    # registration
    REGISTRATION_TOKEN_WRONG = (
        "registration_token_wrong",
        "RFC 7591 §3, RFC 7592 §2",
        "The initial or registration access token is missing, wrong, used up or expired.",
    )
    REGISTRATION_QUOTA = "registration_quota", "RFC 7591 §5", "Too many registrations from this address."
    METADATA_INVALID = (
        "metadata_invalid",
        "RFC 7591 §3.2.2",
        "A member of the client metadata has a value that is refused.",
    )
    METADATA_REDIRECT_URI = "metadata_redirect_uri", "RFC 7591 §3.2.2", "A redirect URI cannot be accepted."

    # browser
    CSRF = "csrf", "RFC 9700 §4.7", "The form's token or origin is not this page's."
    THROTTLED = "throttled", "NIST SP 800-63B §5.2.2", "Too many tries."
    PASSWORD_WRONG = "password_wrong", "OIDC Core §3.1.2.3", "Unknown user or wrong password."
    PASSWORD_REFUSED = "password_refused", "NIST SP 800-63B §3.1.1.2", "The new password cannot be taken."
    SECOND_FACTOR_NEEDED = "second_factor_needed", "DESIGN §2", "The password was right; a second factor is asked for."
    SECOND_FACTOR_OVER = "second_factor_over", "NIST SP 800-63B §3.2.2", "No sign-in waits for a second factor here."
    SECOND_FACTOR_WRONG = "second_factor_wrong", "RFC 6238 §5.2", "The code of the second factor is wrong or was used."
    PASSKEY_UNKNOWN = "passkey_unknown", "WebAuthn Level 3 §7.2", "No account here has this passkey."
    PASSKEY_OF_ANOTHER = "passkey_of_another", "WebAuthn Level 3 §7.2", "The passkey is another user's than it says."
    PASSKEY_CHALLENGE = (
        "passkey_challenge",
        "WebAuthn Level 3 §13.4.3",
        "The challenge was not made for this page or app, is too old, or was used before.",
    )
    PASSKEY_ORIGIN = (
        "passkey_origin",
        "WebAuthn Level 3 §13.4.9",
        "The passkey was asked for at an origin that is neither this server's nor, at /api, the app's.",
    )
    PASSKEY_UNPROVEN = "passkey_unproven", "WebAuthn Level 3 §7", "What the passkey signed is not what was asked for."
    PASSKEY_UNVERIFIED = "passkey_unverified", "WebAuthn Level 3 §7", "The passkey did not verify its user."
    PASSKEY_COPIED = (
        "passkey_copied",
        "WebAuthn Level 3 §6.1.1",
        "The passkey's counter went back: there may be a copy.",
    )
    PASSKEY_NOT_OFFERED = (
        "passkey_not_offered",
        "DESIGN §2",
        "There is no passkey to ask for: not at this issuer, not by this app, or the user has none.",
    )
    PASSKEY_KNOWN = "passkey_known", "WebAuthn Level 3 §7.1", "The passkey is somebody's already."
    PASSKEYS_TOO_MANY = "passkeys_too_many", "DESIGN §8", "The account has as many passkeys as it can have."

    # codes sent by mail
    MAILED_CODE_UNKNOWN = "mailed_code_unknown", "NIST SP 800-63B §3.1.3", "No such code was asked for in this browser."
    MAILED_CODE_WRONG = "mailed_code_wrong", "NIST SP 800-63B §3.1.3", "The code from the mail is not right."
    MAILED_CODE_USED = "mailed_code_used", "NIST SP 800-63B §3.1.3.2", "The code from the mail was used before."
    MAILED_CODE_EXPIRED = "mailed_code_expired", "NIST SP 800-63B §3.1.3.2", "The code from the mail is too old."
    MAILED_CODE_TRIED_TOO_OFTEN = (
        "mailed_code_tried_too_often",
        "NIST SP 800-63B §3.2.2",
        "The code from the mail was tried five times; a new one is needed.",
    )
    MAILED_CODE_UNPROVEN = (
        "mailed_code_unproven",
        "NIST SP 800-63B §4.2",
        "A step was asked for that only comes after the code.",
    )
    ADDRESS_TAKEN = "address_taken", "DESIGN §2", "Another account has verified this e-mail address meanwhile."
    INVITATION_OVER = "invitation_over", "DESIGN §2", "No invitation is open for the address that was proven."

    # sign-in through other providers
    UPSTREAM_PROVIDER_UNKNOWN = "upstream_provider_unknown", "DESIGN §3", "The provider is unknown here, or turned off."
    UPSTREAM_STATE = "upstream_state", "RFC 9700 §4.7", "No sign-in through this provider waits in this browser."
    UPSTREAM_ISSUER = "upstream_issuer", "RFC 9207 §2.4", "The answer is not by the issuer that was asked."
    UPSTREAM_DENIED = "upstream_denied", "RFC 6749 §4.1.2.1", "The person did not allow it at the provider."
    UPSTREAM_REFUSED = "upstream_refused", "RFC 6749 §4.1.2.1, §5.2", "The provider answered with an error."
    UPSTREAM_UNAVAILABLE = "upstream_unavailable", "RFC 9110 §15.6.5", "The provider gave no usable answer in time."
    UPSTREAM_TOKEN = "upstream_token", "OIDC Core §3.1.3.7", "The provider's ID token cannot be accepted."
    UPSTREAM_PROFILE = (
        "upstream_profile",
        "OIDC Core §5.3.2",
        "The provider's userinfo is of another subject, or of none.",
    )
    UPSTREAM_UNKNOWN = "upstream_unknown", "DESIGN §8", "No account is linked, and the provider may make none."
    UPSTREAM_EMAIL_KNOWN = "upstream_email_known", "DESIGN §8", "Only the owner of the address can link its account."
    UPSTREAM_LINKED_ELSEWHERE = "upstream_linked_elsewhere", "DESIGN §8", "It is linked to another account here."
    UPSTREAM_LINK_UNVERIFIED = (
        "upstream_link_unverified",
        "DESIGN §8",
        "The account's address has to be verified first.",
    )
    UPSTREAM_LAST_WAY = "upstream_last_way", "DESIGN §8", "Without this linked account nobody could sign in."

    # the JSON API of an organisation's own apps
    CLIENT_NOT_FIRST_PARTY = "client_not_first_party", "DESIGN §2", "The client is not one of the organisation's own."
    FIELDS_INVALID = "fields_invalid", "RFC 9457 §3", "Members of the JSON body cannot be taken."
    SIGN_UP_BY_INVITATION = "sign_up_by_invitation", "DESIGN §2", "Accounts are made by invitation, at /signup only."
    SIGN_UP_NOT_OFFERED = "sign_up_not_offered", "DESIGN §2", "This client may not make accounts."
    LEGACY_TOKEN_EXPIRED = "legacy_token_expired", "RFC 6749 §6", "A refresh token of the old project is over."
    LEGACY_TOKEN_INVALID = "legacy_token_invalid", "RFC 6749 §6", "This is no refresh token of the old project."
    LEGACY_TOKEN_USED = "legacy_token_used", "RFC 6749 §6", "A refresh token of the old project was used before."
    USERNAME_TAKEN = "username_taken", "DESIGN §2", "Another account has this user name."
