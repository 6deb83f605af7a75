"""What each event is called where its person reads it; events that are not here are not shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authserver.language import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS: Final[Mapping[str, str]] = {
    "account_deletion_asked": N_("Deletion of the account asked for"),
    "account_kept": N_("Account kept after all"),
    "account_linked": N_("An account elsewhere was linked"),
    "account_unlinked": N_("A linked account was removed"),
    "code_replayed": N_("An app's access was ended because a one-time code came twice"),
    "consent_denied": N_("Access not allowed"),
    "consent_given": N_("Access allowed"),
    "consent_withdrawn": N_("Access taken back"),
    "data_exported": N_("Data downloaded"),
    "email_change_asked": N_("Another e-mail address asked for"),
    "email_changed": N_("E-mail address changed"),
    "email_verified": N_("E-mail address confirmed"),
    "grant_revoked": N_("An app's access was ended"),
    "legacy_token_exchanged": N_("Stayed signed in through the move to this server"),
    "mailed_code_wrong": N_("A wrong code from a mail was entered"),
    "mailed_code_stopped": N_("A code was stopped by whoever got the mail"),
    "other_sessions_ended": N_("Signed out everywhere else"),
    "passkey_added": N_("Passkey added"),
    "passkey_copied": N_("A passkey was refused: there may be a copy of it"),
    "passkey_removed": N_("Passkey removed"),
    "passkey_renamed": N_("Passkey renamed"),
    "password_changed": N_("Password changed"),
    "password_reset": N_("A forgotten password was replaced"),
    "password_set": N_("A new password was set"),
    "profile_changed": N_("Profile changed"),
    "recovery_code_used": N_("A recovery code was used"),
    "recovery_codes_made": N_("New recovery codes made"),
    "second_factor_added": N_("Second factor added"),
    "second_factor_removed": N_("Second factor removed"),
    "second_factor_wrong": N_("A wrong second factor was entered"),
    "second_factors_reset": N_("Second factor removed"),
    "session_ended": N_("Signed out"),
    "user_created": N_("Account made"),
    "user_disabled": N_("Account turned off"),
    "user_enabled": N_("Account turned on again"),
    "user_signed_in": N_("Signed in"),
    "user_signed_up": N_("Account made"),
    "user_updated": N_("Account changed"),
}

# The first of these methods (RFC 8176) that a sign-in used says how somebody signed in.
SIGN_IN_WAYS: Final[Mapping[str, str]] = {
    "pop": N_("Signed in with a passkey"),
    "recovery": N_("Signed in with a recovery code"),
    "otp": N_("Signed in with password and a code"),
    "email": N_("Signed in with a code by mail"),
    "upstream": N_("Signed in through another provider"),
    "pwd": N_("Signed in with the password"),
}
