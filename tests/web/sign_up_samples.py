"""The values that the pages of sign-up, codes and forgotten passwords are tried with."""

from __future__ import annotations

from authserver.oauth.mailed_code_rules import Purpose
from authserver.passwords import PasswordFault
from authserver.steps.provider_buttons import Button, Buttons
from authserver.steps.sign_up import Fault

EMAIL = "ann@example.org"
SIGN_UP = {
    "action": "/signup",
    "csrf": "token",
    "email": "",
    "name": "",
    "client_name": "Notes",
    "client_host": "notes.example.org",
    "problem": None,
    "faults": {},
    "wait_seconds": 0,
    "sign_in": "/login",
    "by_invitation": False,
    "buttons": Buttons(action="/upstream", providers=(Button(slug="hub", label="Hub"),)),
}
CODE = {
    "action": "/verify/1",
    "csrf": "token",
    "email": EMAIL,
    "is_certain": False,
    "by_invitation": False,
    "mail_state": None,
    "button": "Confirm the address",
    "change": "/signup",
    "asks_shared_computer": False,
    "problem": None,
    "tries_left": 0,
    "wait_seconds": 0,
    "resend_seconds": 27,
}
START = {
    "csrf": "token",
    "is_signed_in": True,
    "email": EMAIL,
    "is_verified": False,
    "problem": None,
    "wait_seconds": 0,
}
FORGOT = {
    "action": "/forgot",
    "csrf": "token",
    "email": "",
    "explanation": "We send a mail with a code and a link to the address of your account.",
    "button": "Send the mail",
    "client_name": None,
    "client_host": None,
    "problem": None,
    "wait_seconds": 0,
    "sign_in": "/login",
}
LINK = {"csrf": "token", "link": "asm_secret", "email": EMAIL, "problem": None}
NEW_PASSWORD = {"action": "/reset/1", "csrf": "token", "email": EMAIL, "problem": None, "fault": None}
STOP = {"csrf": "token", "link": "0198", "purpose": "reset_password", "problem": None}

PAGES = {
    "signup/signup.html": SIGN_UP,
    "code.html": CODE,
    "verify/start.html": START,
    "verify/over.html": {"why": "used", "may_sign_up": True},
    "address.html": FORGOT,
    "login_code/over.html": {},
    "recovery/link.html": LINK,
    "recovery/new_password.html": NEW_PASSWORD,
    "recovery/done.html": {"sign_in": "/login"},
    "recovery/over.html": {"why": "expired"},
    "stop_code/ask.html": STOP,
    "stop_code/over.html": {"why": "stopped"},
}

FAULTS = {
    "email": Fault(word="malformed"),
    "new-password": Fault(word="too_common", hints=("Many people use this one.",)),
    "name": Fault(word="too_long"),
}
STATES = {
    "sign up, wrong": (
        "signup/signup.html",
        SIGN_UP | {"problem": "fields", "faults": FAULTS, "email": "no address", "name": "N" * 60},
    ),
    "sign up, by invitation": ("signup/signup.html", SIGN_UP | {"by_invitation": True, "email": EMAIL}),
    "sign up, throttled": ("signup/signup.html", SIGN_UP | {"problem": "throttled", "wait_seconds": 42}),
    "code, by invitation": ("code.html", CODE | {"by_invitation": True}),
    "code, wrong": ("code.html", CODE | {"problem": "wrong", "tries_left": 3}),
    "code, expired": ("code.html", CODE | {"problem": "expired", "resend_seconds": 0}),
    "code, certain": ("code.html", CODE | {"is_certain": True, "mail_state": "trying again", "change": None}),
    "code, long address": ("code.html", CODE | {"email": "a" * 60 + "@" + "x" * 60 + ".example.org"}),
    "verify, throttled": ("verify/start.html", START | {"problem": "throttled", "wait_seconds": 42}),
    "verify, done": ("verify/start.html", START | {"is_verified": True}),
    **{f"stop, {purpose}": ("stop_code/ask.html", STOP | {"purpose": purpose.value}) for purpose in Purpose},
    "stop, stale": ("stop_code/ask.html", STOP | {"problem": "stale"}),
    "stop, used": ("stop_code/over.html", {"why": "used"}),
    "stop, unknown": ("stop_code/over.html", {"why": "unknown"}),
    "verify, uninvited": ("verify/over.html", {"why": "uninvited", "may_sign_up": True}),
    "verify, taken": ("verify/over.html", {"why": "taken", "may_sign_up": True}),
    "forgot, wrong": ("address.html", FORGOT | {"problem": "malformed", "email": "ann"}),
    "new password, refused": (
        "recovery/new_password.html",
        NEW_PASSWORD | {"problem": "fault", "fault": PasswordFault(fault="leaked")},
    ),
}
