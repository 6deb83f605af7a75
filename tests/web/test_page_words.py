"""What each page says and offers: UX §2's words, fields and buttons by name."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from authserver.oauth.errors import Refusal
from authserver.web.error_page import error_page
from authserver.web.pages import Fact, Link, Pages
from tests.web.page_samples import (
    ALREADY,
    CONFIRM,
    CONSENT,
    EXPIRED,
    FORM_POST,
    HOME,
    ISSUER,
    LOGIN,
    SIGNED_OUT,
    Elements,
    html_of,
    text_of,
)


@pytest.fixture
def pages():
    return Pages(issuer=ISSUER, dev=False)


def test_the_sign_in_fields_are_those_password_managers_know(pages):
    elements = Elements(html_of(pages.render("login/login.html", title="Sign in", **LOGIN)))
    username, password = elements.named("username"), elements.named("password")
    assert (username["id"], password["id"]) == ("username", "password")
    assert username["type"] == "text"
    assert username["autocomplete"] == "username webauthn"
    assert username["autocapitalize"] == "none"
    assert username["spellcheck"] == "false"
    assert password["type"] == "password"
    assert password["autocomplete"] == "current-password"
    assert elements.named("shared_computer")["type"] == "checkbox"
    assert elements.named("csrf") == {"type": "hidden", "name": "csrf", "value": "token"}
    assert {"username", "password"} <= {label.get("for") for label in elements.all("label")}
    assert not any("onpaste" in attributes or "placeholder" in attributes for _, attributes in elements.found)


@pytest.mark.parametrize(
    ("problem", "values", "words"),
    [
        ("wrong", {}, "That e-mail or password is not right."),
        ("throttled", {"wait_seconds": 42}, "Too many tries. Wait 42 seconds, or sign in another way."),
        ("throttled", {"wait_seconds": 1}, "Too many tries. Wait 1 second, or sign in another way."),
        ("stale", {}, "This page was open for a long time. Please check and send again."),
        ("cookies", {}, "Your browser did not keep our cookie. Allow cookies for id.example.org and try again."),
        ("disabled", {}, "This account is turned off. Ask the people who run id.example.org."),
        ("busy", {}, "Many people are signing in right now. Please try again in a few seconds."),
        ("username_missing", {}, "Enter your e-mail or user name."),
        ("password_missing", {}, "Enter your password."),
        ("too_long", {}, "That is longer than a password can be here."),
    ],
)
def test_each_problem_has_its_words_in_a_focused_summary_and_in_the_title(pages, problem, values, words):
    answer = pages.render("login/login.html", title="Sign in", status=422, **{**LOGIN, **values, "problem": problem})
    (summary,) = [attributes for _, attributes in Elements(html_of(answer)).found if attributes.get("role") == "alert"]
    assert "autofocus" in summary
    assert summary["tabindex"] == "-1"
    assert words in text_of(answer)
    assert "<title>Error: Sign in · id.example.org</title>" in html_of(answer)
    assert answer.status == 422


def test_an_unknown_problem_is_a_bug(pages):
    with pytest.raises(UndefinedError):
        pages.render("login/login.html", title="Sign in", **{**LOGIN, "problem": "misspelt"})


def test_after_a_wrong_password_the_name_is_kept_the_password_is_not_and_the_field_is_marked(pages):
    values = {**LOGIN, "problem": "wrong", "username": "ann@example.org", "shared_computer": True}
    elements = Elements(html_of(pages.render("login/login.html", title="Sign in", **values)))
    assert elements.named("username")["value"] == "ann@example.org"
    assert "value" not in elements.named("password")
    assert elements.named("password")["aria-invalid"] == "true"
    assert elements.named("password")["aria-describedby"] == "problem"
    assert "aria-invalid" not in elements.named("username")
    assert "checked" in elements.named("shared_computer")
    assert {"href": "#password"} in elements.all("a")


def test_who_has_to_wait_is_offered_the_other_ways(pages):
    links = (Link(text="Sign in with a code", href="/login/code"),)
    values = {**LOGIN, "problem": "throttled", "wait_seconds": 9, "links": links}
    answer = pages.render("login/login.html", title="Sign in", **values)
    assert "Wait 9 seconds, or sign in another way." in text_of(answer)
    assert "Sign in with a code" in text_of(answer)


def test_consent_says_who_asks_for_what_and_offers_both_answers_alike(pages):
    answer = pages.render("consent/consent.html", title="Allow Notes?", transaction=True, **CONSENT)
    text = text_of(answer)
    assert "You are signed in as Ann. Not you?" in text
    assert "Notes (notes.example.org) wants to:" in text
    assert "Know that it is you" in text
    assert "Use Sample API: api:read" in text
    assert "until you take it back" in text
    assert "unverified" not in text
    buttons = {button["value"]: button for button in Elements(html_of(answer)).all("button")}
    assert list(buttons) == ["switch", "deny", "allow"]
    assert {button["name"] for button in buttons.values()} == {"decision"}


def test_consent_warns_of_an_app_that_registered_itself_and_is_asked_each_time(pages):
    values = {**CONSENT, "client_verified": False, "remembered": False}
    text = text_of(pages.render("consent/consent.html", title="Allow Notes?", **values))
    assert "unverified This app registered itself. Allow it only if you know notes.example.org." in text
    assert "You are asked each time" in text
    assert "take it back" not in text


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_a_page_that_says_what_happened_what_to_do_and_the_id(pages, refusal):
    answer = error_page(pages, refusal, status=400, request_id="01JDAB7F", client_name="Notes")
    text = text_of(answer)
    assert "Id 01JDAB7F" in text
    assert f"Refusal {refusal.value}" in text
    assert refusal.meaning in text
    assert "%" not in text
    assert html_of(answer).count("<h1>") == 1
    assert "<title>Error: " in html_of(answer)
    assert "open" not in Elements(html_of(answer)).all("details")[0]


@pytest.mark.attack(1)
def test_a_foreign_redirect_uri_is_named_with_the_command_that_adds_it(pages):
    answer = error_page(
        pages,
        Refusal.REDIRECT_URI_NOT_REGISTERED,
        status=400,
        request_id="01JDAB7F",
        client_name="Notes",
        client_id="notes",
        received="http://localhost:3001/callback",
    )
    text = text_of(answer)
    assert "Notes cannot sign you in yet" in text
    assert "The address it asked us to return to is not on its list, so nothing was sent there." in text
    assert "Tell the people who run Notes." in text
    assert "authserver clients update notes --add-redirect-uri http://localhost:3001/callback" in text
    assert Elements(html_of(answer)).all("a") == [{"class": "brand", "href": "/"}]


@pytest.mark.attack(1)
def test_the_command_runs_nothing_that_the_requester_wrote(pages):
    answer = error_page(
        pages,
        Refusal.REDIRECT_URI_NOT_REGISTERED,
        status=400,
        request_id="1",
        client_id="$(id)",
        received="https://x/;reboot",
    )
    assert "clients update '$(id)' --add-redirect-uri 'https://x/;reboot'" in text_of(answer)
    assert "This app cannot sign you in yet" in text_of(answer)


@pytest.mark.attack(94)
def test_sign_out_is_confirmed_by_a_form_that_names_what_ends(pages):
    answer = pages.render("end_session/confirm.html", title="Sign out?", **CONFIRM)
    elements = Elements(html_of(answer))
    assert "Sign out of Notes and 2 other apps?" in text_of(answer)
    assert elements.named("state")["value"] == "af0"
    assert [button["value"] for button in elements.all("button")] == ["stay", "sign_out"]
    assert elements.all("form")[0]["method"] == "post"


def test_signed_out_names_which_apps_were_told_and_which_not(pages):
    values = {
        **SIGNED_OUT,
        "told": ("Notes",),
        "not_told": ("Mail",),
        "back": Link(text="Back to Notes", href="https://n.example/"),
    }
    text = text_of(pages.render("end_session/signed_out.html", title="Signed out", **values))
    assert "These apps are being told: Notes" in text
    assert "cannot be told. Sign out of them yourself: Mail" in text
    assert "Back to Notes" in text


def test_the_other_tab_and_the_expired_sign_in_lead_back_to_the_app(pages):
    already = pages.render("already_signed_in.html", title="Signed in", **ALREADY)
    assert "You are already signed in as Ann. Continue to Notes" in text_of(already)
    expired = pages.render("transaction_expired.html", title="Please start again", status=400, **EXPIRED)
    assert "This sign-in took too long. Go back to Notes and start again." in text_of(expired)
    for answer in (already, expired):
        assert {"role": "button", "href": "https://notes.example.org/"} in Elements(html_of(answer)).all("a")


def test_the_form_post_response_submits_itself_and_has_a_button_without_script(pages):
    elements = Elements(html_of(pages.render("form_post.html", title="Signing in", transaction=True, **FORM_POST)))
    assert elements.all("form")[0]["action"] == "https://notes.example.org/cb"
    fields = {field["name"]: field["value"] for field in elements.all("input") if field["type"] == "hidden"}
    assert fields == {"code": "c0de", "iss": ISSUER}
    assert elements.all("button") == [{"type": "submit"}]


def test_the_home_page_offers_sign_in_and_the_developers_addresses(pages):
    answer = pages.render("home.html", title="Authorization server", **HOME)
    assert {"role": "button", "href": "/login"} in Elements(html_of(answer)).all("a")
    assert [button["data-copy"] for button in Elements(html_of(answer)).all("button")] == [
        ISSUER,
        f"{ISSUER}/.well-known/openid-configuration",
    ]
    assert "Development mode" not in text_of(answer)


def test_the_home_page_of_someone_signed_in_offers_sign_out_by_a_form(pages):
    answer = pages.render("home.html", title="Authorization server", **{**HOME, "user_name": "Ann"})
    assert "Signed in as Ann" in text_of(answer)
    (form,) = Elements(html_of(answer)).all("form")
    assert (form["method"], form["action"]) == ("post", "/end_session")
    assert Elements(html_of(answer)).named("decision")["value"] == "sign_out"


def test_development_mode_is_named_on_every_page_and_its_accounts_on_the_home_page_only_there():
    demo = {
        **HOME,
        "demo": (Fact(name="Demo user", value="ann@example.org"), Fact(name="Inbox", value="open", href="/dev/inbox")),
    }
    in_dev, in_production = (
        Pages(issuer=ISSUER, dev=dev).render("home.html", title="x", **demo) for dev in (True, False)
    )
    assert "Development mode: not for real users" in text_of(in_dev)
    assert "Demo user ann@example.org" in text_of(in_dev)
    assert "ann@example.org" not in html_of(in_production)
