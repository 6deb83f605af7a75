"""The values each account page is tried with."""

from __future__ import annotations

from authserver.features.account_activity.page import Line
from authserver.features.account_apps.page import App
from authserver.features.account_connections.page import Shown
from authserver.features.account_devices.page import Device
from authserver.features.account_passkeys.page import Line as PasskeyLine
from authserver.operations.profile_rules import CLAIMS
from authserver.steps.provider_buttons import Button
from authserver.web.pages import Link, ScopeLine

GROUND = {
    "csrf": "token",
    "user": "01890000-0000-7000-8000-000000000001",
    "user_name": "Ann",
    "action": "/account/devices",
    "navigation": (Link(text="Overview", href="/account"), Link(text="Devices", href="/account/devices")),
    "done": None,
    "problem": None,
}
DEVICE = Device(
    session="01890000-0000-7000-8000-000000000002",
    browser="Firefox on Linux",
    address="203.0.113.7",
    first_used="20 November 2026, 12:00 (UTC)",
    last_used="21 November 2026, 12:00 (UTC)",
    is_this=True,
    apps=("Notes", "Mail"),
)
APP = App(
    client_id="notes",
    name="Notes",
    host="notes.example.org",
    is_first_party=True,
    since="20 November 2026",
    last_used="21 November 2026, 12:00 (UTC)",
    devices=2,
    scopes=(ScopeLine(scope="openid"), ScopeLine(scope="api:read", api="Sample API")),
)
LINE = Line(what="Signed in", app="Notes", at="21 November 2026", address="203.0.113.7", is_by_operator=False)
PROFILE = GROUND | {"values": dict.fromkeys(CLAIMS, ""), "problems": {}, "spoken": {"en": "English", "de": "Deutsch"}}
PASSWORD = GROUND | {"has_password": True, "username": "ann", "fault": None, "hints": (), "wait_seconds": 0}
EMAIL = GROUND | {"email": "ann@example.org", "email_verified": False, "given": ""}
FACTORS = GROUND | {
    "is_set": False,
    "codes_left": 0,
    "secret": "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP",
    "picture": "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E",
    "wait_seconds": 0,
}
PASSKEY = PasskeyLine(
    id="01890000-0000-7000-8000-000000000003",
    name="iCloud Keychain",
    added="20 November 2026, 12:00 (UTC)",
    last_used=None,
    is_synced=True,
)
PASSKEYS = GROUND | {
    "passkeys": (PASSKEY,),
    "wrong": None,
    "longest_name": 60,
    "most": 20,
    "passkey": '{"challenge": "AAAA"}',
    "signal": '{"method": "signalAllAcceptedCredentials", "about": {}}',
}
CONNECTIONS = GROUND | {
    "linked": (
        Shown(
            provider="hub",
            label="Hub",
            subject="583231",
            account_name="octocat",
            since="20 November 2026",
            last_used="21 November 2026, 12:00 (UTC)",
        ),
    ),
    "may_unlink": True,
    "is_verified": True,
    "providers": (Button(slug="partner", label="Partner"),),
}

PAGES = {
    "account/overview.html": GROUND
    | {
        "username": "ann",
        "name": None,
        "email": "ann@example.org",
        "email_verified": False,
        "signed_in_at": "21 November 2026, 12:00 (UTC)",
        "devices": 1,
        "apps": 2,
    },
    "account/profile.html": PROFILE,
    "account/email.html": EMAIL,
    "account/password.html": PASSWORD,
    "account/factors.html": FACTORS,
    "account/passkeys.html": PASSKEYS,
    "account/recovery_codes.html": GROUND
    | {"codes": ("k3qw-9zx4-0011",), "text": "k3qw-9zx4-0011", "download": "data:text/plain;charset=utf-8,k3qw"},
    "account/connections.html": CONNECTIONS,
    "account/devices.html": GROUND | {"devices": (DEVICE, DEVICE)},
    "account/apps.html": GROUND | {"apps": (APP,), "token_minutes": 5},
    "account/activity.html": GROUND | {"lines": (LINE,), "is_first": False, "older": "cursor"},
    "account/data.html": GROUND | {"days": 30},
    "account/prove.html": GROUND | {"what": "To change it, sign in again.", "back": "/account/email"},
    "account/restore.html": GROUND | {"sign_in": "", "delete_on": "21 December 2026"},
    "account/leaving.html": {"delete_on": "21 December 2026"},
}
STATES = {
    "connections, the last way": (
        "account/connections.html",
        CONNECTIONS | {"problem": "last_way", "may_unlink": False, "is_verified": False},
    ),
    "connections, none": ("account/connections.html", CONNECTIONS | {"linked": (), "providers": ()}),
    "account, done": ("account/devices.html", GROUND | {"done": "That device is signed out.", "devices": (DEVICE,)}),
    "account, stale": ("account/data.html", GROUND | {"problem": "stale", "days": 30}),
    "profile, all wrong": (
        "account/profile.html",
        PROFILE | {"problem": "fields", "problems": dict.fromkeys(CLAIMS, "characters")},
    ),
    "password, refused": ("account/password.html", PASSWORD | {"problem": "fault", "fault": "too_short"}),
    "password, throttled": ("account/password.html", PASSWORD | {"problem": "throttled", "wait_seconds": 42}),
    "password, none": ("account/password.html", PASSWORD | {"has_password": False}),
    "e-mail, malformed": ("account/email.html", EMAIL | {"problem": "malformed", "given": "ann"}),
    "factors, none": ("account/factors.html", FACTORS | {"secret": None, "picture": None}),
    "factors, set": ("account/factors.html", FACTORS | {"is_set": True, "secret": None, "codes_left": 9}),
    "factors, wrong": ("account/factors.html", FACTORS | {"problem": "wrong"}),
    "factors, throttled": ("account/factors.html", FACTORS | {"problem": "throttled", "wait_seconds": 42}),
    "passkeys, none": ("account/passkeys.html", PASSKEYS | {"passkeys": ()}),
    "passkeys, as many as there can be": ("account/passkeys.html", PASSKEYS | {"passkey": None}),
    "passkeys, wrong name": ("account/passkeys.html", PASSKEYS | {"problem": "name", "wrong": PASSKEY.id}),
    "passkeys, refused": ("account/passkeys.html", PASSKEYS | {"problem": "refused"}),
    "apps, none": ("account/apps.html", GROUND | {"apps": (), "token_minutes": 5}),
    "data, not sure": ("account/data.html", GROUND | {"problem": "unsure", "days": 30}),
}
