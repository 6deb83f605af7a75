"""Every page: headers, policy, escaping, one heading, nothing foreign (UX §2, SECURITY rows 13, 14, 20, 122)."""

from __future__ import annotations

import re
from html import unescape

import pytest
from jinja2 import UndefinedError

from authserver.web.pages import Pages, web_url
from tests.web.page_samples import CONSENT, HOME, ISSUER, LOGIN, PAGES, TRANSACTION_PAGES, Elements, header, html_of

HOSTILE = (
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "{{7*7}}",
    "{% raw %}",
    "${7*7}",
    "</title><script>",
    "100% %s %(name)s",
    "<a href='javascript:alert(1)'>",
    "\u202eNotes",
    "&lt;b&gt;",
    "`'\"<>&",
    "Robert'); DROP TABLE users;--",
)


@pytest.fixture
def pages():
    return Pages(issuer=ISSUER, dev=False)


@pytest.mark.attack(13)
@pytest.mark.attack(14)
@pytest.mark.parametrize("template", PAGES)
def test_every_page_is_uncached_unframed_unsniffed_and_sends_no_referrer(pages, template):
    answer = pages.render(template, title="Title", **PAGES[template])
    assert header(answer, "cache-control") == "no-store"
    assert header(answer, "x-frame-options") == "DENY"
    assert header(answer, "referrer-policy") == "no-referrer"
    assert header(answer, "x-content-type-options") == "nosniff"
    assert header(answer, "content-type") == "text/html; charset=utf-8"


def directives(answer):
    return dict(part.split(" ", 1) for part in header(answer, "content-security-policy").split("; "))


@pytest.mark.attack(20)
@pytest.mark.attack(122)
def test_the_policy_allows_own_style_and_nonced_script_only(pages):
    policy = directives(pages.render("home.html", title="Home", **HOME))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert re.fullmatch(r"'nonce-[\w-]{22}'", policy["script-src"])


@pytest.mark.parametrize("template", TRANSACTION_PAGES)
def test_a_transaction_page_has_no_form_action_since_chromium_applies_it_to_redirects(pages, template):
    answer = pages.render(template, title="Title", transaction=True, **PAGES[template])
    assert "form-action" not in directives(answer)


def test_each_answer_has_its_own_nonce_and_every_script_carries_it(pages):
    nonces = set()
    for template, values in PAGES.items():
        answer = pages.render(template, title="Title", **values)
        nonce = directives(answer)["script-src"].removeprefix("'nonce-").removesuffix("'")
        assert {script["nonce"] for script in Elements(html_of(answer)).all("script")} == {nonce}
        nonces.add(nonce)
    assert len(nonces) == len(PAGES)


@pytest.mark.attack(20)
@pytest.mark.attack(122)
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("template", PAGES)
def test_hostile_text_in_any_value_adds_no_element_and_no_attribute(pages, template, hostile):
    benign = {name: "x" if isinstance(value, str) else value for name, value in PAGES[template].items()}
    planted = {name: hostile if isinstance(value, str) else value for name, value in PAGES[template].items()}
    skeletons = [
        [(tag, sorted(attributes)) for tag, attributes in Elements(html_of(answer)).found]
        for answer in (
            pages.render(template, title="x", **benign),
            pages.render(template, title=hostile, **planted),
        )
    ]
    assert skeletons[0] == skeletons[1]


@pytest.mark.attack(122)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_is_shown_as_it_was_written(pages, hostile):
    answer = pages.render("consent/consent.html", title="Allow?", **{**CONSENT, "client_name": hostile})
    assert " ".join(hostile.split()) in " ".join(unescape(html_of(answer)).split())


@pytest.mark.attack(122)
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:x",
        "//evil.example",
        "/\\evil.example",
        "\tjavascript:alert(1)",
        "https:",
        "http:///x",
        "https://[",
        "evil.example",
    ],
)
def test_only_web_addresses_become_links(pages, address):
    assert web_url(address) == ""
    about = {**CONSENT, "client_uri": address, "policy_uri": address, "tos_uri": address}
    assert Elements(html_of(pages.render("consent/consent.html", title="x", **about))).all("a")[1:] == []
    assert web_url("https://notes.example.org/terms") == "https://notes.example.org/terms"


@pytest.mark.attack(122)
def test_a_clients_words_bring_no_image(pages):
    answer = pages.render("consent/consent.html", title="x", **{**CONSENT, "client_uri": "https://notes.example.org/"})
    elements = Elements(html_of(answer))
    assert all(image["src"].startswith("/static/") for image in elements.all("img"))
    assert [link["rel"] for link in elements.all("a")[1:]] == ["noopener noreferrer"]


def test_a_value_the_caller_forgot_is_a_bug_not_an_empty_page(pages):
    with pytest.raises(UndefinedError):
        pages.render("login/login.html", title="Sign in", **{name: LOGIN[name] for name in LOGIN if name != "csrf"})


@pytest.mark.parametrize("template", PAGES)
def test_each_page_has_one_heading_and_nothing_inline_or_foreign(pages, template):
    html = html_of(pages.render(template, title="Title", **PAGES[template]))
    elements = Elements(html)
    assert len(elements.all("h1")) == 1
    assert elements.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert elements.all("style") == []
    assert not any(name == "style" or name.startswith("on") for _, attributes in elements.found for name in attributes)
    loaded = [attributes["href"] for attributes in elements.all("link")]
    loaded += [attributes["src"] for tag, attributes in elements.found if "src" in attributes and tag != "iframe"]
    assert all(attributes.get("sandbox") == "" for attributes in elements.all("iframe"))
    assert all(re.fullmatch(r"/static/[\w./-]+\?v=[0-9a-f]{16}|data:image/svg\+xml,.*", address) for address in loaded)
    primary = [button for button in elements.all("button") if button["type"] == "submit" and "class" not in button]
    assert len(primary) <= 1
