"""What each kind of mail says. The words are gettext's; the layouts of ``templates/`` turn them into text and HTML.

One thing is said once, so that the text and the HTML of a mail never differ. Values of strangers (an app's name, a
browser's) are cleaned before they come here, and escaped in the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from authserver.language import format_date, format_time, load_translations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GROUP: Final = 3  # digits of a code that stand together


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A line that leads to this server."""

    label: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a mail says, top to bottom; nothing is escaped yet."""

    subject: str
    paragraphs: tuple[str, ...]
    code: str | None = None
    after_code: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    asked_by: str | None = None
    not_you: str = ""
    not_you_link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is known of one mail when it is written: its parameters, whose server it is, its language and times."""

    parameters: Mapping[str, str]
    issuer: str
    host: str
    language: str
    created_at: datetime
    expires_at: datetime | None

    def words(self, message: str, **values: str) -> str:
        """Return a message in the mail's language, filled in."""
        return load_translations(self.language).gettext(message) % values

    def count_words(self, one: str, many: str, count: int) -> str:
        """Return the form of a message that goes with a number, filled in with ``num``."""
        return load_translations(self.language).ngettext(one, many, count) % {"num": count}

    def get(self, name: str) -> str:
        """Return a parameter; one that was left out is empty."""
        return self.parameters.get(name, "")

    @property
    def app(self) -> str:
        """Where the reader wanted to go: an app's name, else this server."""
        return self.get("app") or self.host

    @property
    def code(self) -> str:
        """The code as it is read aloud."""
        return group(self.get("code"))

    @property
    def works_for(self) -> str:
        """How long the code works from the moment it was asked for."""
        lifetime = (self.expires_at or self.created_at) - self.created_at
        minutes = max(1, lifetime // timedelta(minutes=1))
        return self.count_words("It works for %(num)d minute.", "It works for %(num)d minutes.", minutes)

    @property
    def asked_by(self) -> str | None:
        """Who asked: browser, address and time; None where nobody in a browser did."""
        who = ", ".join(part for part in (self.get("browser"), self.get("address")) if part)
        if not who:
            return None
        when = format_time(self.created_at, self.language, UTC)
        return self.words("Asked for by: %(who)s, %(when)s", who=who, when=when)

    @property
    def stop(self) -> Link | None:
        """Where a reader who asked for nothing can end it."""
        return Link(label=self.words("Stop this"), href=self.get("stop_link")) if self.get("stop_link") else None

    @property
    def secure(self) -> Link:
        """Where a reader whose account was touched by somebody else goes."""
        return Link(label=self.words("Secure your account"), href=f"{self.issuer}/account")


def group(code: str) -> str:
    """Return a code as it is read aloud.

    >>> group("482913")
    '482 913'
    """
    return " ".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))


def build_content(kind: str, letter: Letter) -> Content:
    """Return what a mail of this kind says."""
    return _BUILDERS[kind](letter)


def _verify_email(letter: Letter) -> Content:
    link = letter.get("link")
    return _with_code(
        letter,
        letter.words("%(code)s is your code for %(app)s", code=letter.code, app=letter.app),
        letter.words("Enter this code to confirm your e-mail address:"),
        links=(Link(label=letter.words("Enter the code on this page"), href=link),) if link else (),
    )


def _login_code(letter: Letter) -> Content:
    return _with_code(
        letter,
        letter.words("%(code)s is your code for %(app)s", code=letter.code, app=letter.app),
        letter.words("Enter this code to sign in:"),
    )


def _change_email_code(letter: Letter) -> Content:
    return _with_code(
        letter,
        letter.words("%(code)s is your code for %(app)s", code=letter.code, app=letter.app),
        letter.words("Enter this code to make this the address of your account:"),
    )


def _reset_password(letter: Letter) -> Content:
    return _with_code(
        letter,
        letter.words("%(code)s is your code to set a new password", code=letter.code),
        letter.words("Enter this code to set a new password for %(app)s:", app=letter.app),
        links=(Link(label=letter.words("Or set it on this page"), href=letter.get("link")),),
        not_you=letter.words("Not you? Ignore this: your password stays as it is."),
    )


def _with_code(
    letter: Letter, subject: str, lead: str, *, links: tuple[Link, ...] = (), not_you: str | None = None
) -> Content:
    return Content(
        subject=subject,
        paragraphs=(lead,),
        code=letter.code,
        after_code=(letter.works_for,),
        links=links,
        asked_by=letter.asked_by,
        not_you=letter.words("Not you? Ignore this.") if not_you is None else not_you,
        not_you_link=letter.stop,
    )


def _sign_up_known_address(letter: Letter) -> Content:
    return Content(
        subject=letter.words("You have an account at %(app)s already", app=letter.app),
        paragraphs=(
            letter.words("Somebody wanted to make an account with this address, and there is one already."),
            letter.words("If it was you, sign in. If you forgot your password, set a new one."),
        ),
        links=(
            Link(label=letter.words("Sign in"), href=f"{letter.issuer}/login"),
            Link(label=letter.words("Set a new password"), href=f"{letter.issuer}/forgot"),
        ),
        asked_by=letter.asked_by,
        not_you=letter.words("Not you? Ignore this: nothing was changed."),
    )


def _invitation(letter: Letter) -> Content:
    until = format_time(letter.expires_at or letter.created_at, letter.language, UTC)
    app = letter.get("app")
    return Content(
        subject=letter.words("You are invited to %(app)s", app=letter.app),
        paragraphs=(
            letter.words("You can make an account at %(host)s with this e-mail address.", host=letter.host),
            *((letter.words("With it you sign in to %(app)s.", app=app),) if app else ()),
            letter.words("The invitation is open until %(time)s.", time=until),
        ),
        links=(Link(label=letter.words("Create an account"), href=letter.get("link")),),
        not_you=letter.words("You did not expect this? Ignore it: without you no account is made."),
    )


def _account_exists_notice(letter: Letter) -> Content:
    return Content(
        subject=letter.words("Somebody used your e-mail address"),
        paragraphs=(
            letter.words("Somebody made an account in %(app)s and gave your e-mail address.", app=letter.app),
            letter.words("They cannot confirm it, and your own account is untouched."),
        ),
        links=(Link(label=letter.words("Sign in"), href=f"{letter.issuer}/login"),),
        asked_by=letter.asked_by,
        not_you=letter.words("Not you? Ignore this: nothing was changed."),
    )


def _password_changed(letter: Letter) -> Content:
    return _notice(
        letter,
        letter.words("Your password was changed"),
        letter.words("The password of your account at %(host)s was changed.", host=letter.host),
    )


def _email_change_notice(letter: Letter) -> Content:
    return _notice(
        letter,
        letter.words("Your e-mail address is being changed"),
        letter.words(
            "Your account at %(host)s is to have the address %(new_address)s from now on.",
            host=letter.host,
            new_address=letter.get("new_address"),
        ),
        letter.words("This takes effect when the new address is confirmed."),
        not_you_link=letter.stop,
    )


def _new_device(letter: Letter) -> Content:
    who = ", ".join(part for part in (letter.get("browser"), letter.get("address")) if part)
    return _notice(
        letter,
        letter.words("New sign-in: %(who)s", who=who or letter.host),
        letter.words("Your account at %(host)s was used in a browser that we had not seen before.", host=letter.host),
    )


def _account_deletion(letter: Letter) -> Content:
    day = format_date(datetime.fromisoformat(letter.get("delete_at")).astimezone(UTC).date(), letter.language)
    return _notice(
        letter,
        letter.words("Your account will be deleted on %(day)s", day=day),
        letter.words(
            "Your account at %(host)s and what is stored in it will be deleted on %(day)s.", host=letter.host, day=day
        ),
        letter.words("Until then you can keep it."),
        links=(Link(label=letter.words("Keep my account"), href=f"{letter.issuer}/account/data"),),
    )


def _refresh_token_reuse(letter: Letter) -> Content:
    return _notice(
        letter,
        letter.words("%(app)s has no access to your account any more", app=letter.app),
        letter.words(
            "%(app)s used a key to your account that had been replaced. A copy of it may be in other hands, "
            "so we took the access away.",
            app=letter.app,
        ),
        letter.words("To go on, sign in there again."),
    )


def _factor_changed(letter: Letter) -> Content:
    name = letter.get("name")
    match letter.get("change"):
        case "passkey_added":
            subject = letter.words("A passkey was added to your account")
        case "passkey_removed":
            subject = letter.words("A passkey was removed from your account")
        case "totp_added":
            subject = letter.words("An authenticator app was added to your account")
        case "totp_removed":
            subject = letter.words("The authenticator app was removed from your account")
        case "recovery_codes_made":
            subject = letter.words("New recovery codes were made for your account")
        case "account_linked":
            subject = letter.words("An account elsewhere was linked to yours")
        case "account_unlinked":
            subject = letter.words("A linked account was removed from yours")
        case _:
            subject = letter.words("A recovery code of your account was used")
    named = (letter.words("Its name: %(name)s", name=name),) if name else ()
    return _notice(letter, subject, letter.words("This concerns your account at %(host)s.", host=letter.host), *named)


def _test(letter: Letter) -> Content:
    return Content(
        subject=letter.words("Test mail from %(host)s", host=letter.host),
        paragraphs=(letter.words("If you can read this, %(host)s can send mail.", host=letter.host),),
    )


def _notice(
    letter: Letter,
    subject: str,
    *paragraphs: str,
    links: tuple[Link, ...] = (),
    not_you_link: Link | None = None,
) -> Content:
    """Return a mail about something that has happened: who was it, and what to do if it was not the reader."""
    return Content(
        subject=subject,
        paragraphs=paragraphs,
        links=links,
        asked_by=letter.asked_by,
        not_you=letter.words("Not you?"),
        not_you_link=not_you_link or letter.secure,
    )


_BUILDERS: Final[Mapping[str, Callable[[Letter], Content]]] = {
    "verify_email": _verify_email,
    "sign_up_known_address": _sign_up_known_address,
    "invitation": _invitation,
    "reset_password": _reset_password,
    "login_code": _login_code,
    "password_changed": _password_changed,
    "change_email_code": _change_email_code,
    "email_change_notice": _email_change_notice,
    "account_exists_notice": _account_exists_notice,
    "new_device": _new_device,
    "account_deletion": _account_deletion,
    "refresh_token_reuse": _refresh_token_reuse,
    "factor_changed": _factor_changed,
    "test": _test,
}
