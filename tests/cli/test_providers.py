"""Other providers by command line: the shapes that scripts rely on, and no secret where others read it."""

import pytest


def add(run, *options, slug="github", stdin="s3cret\n"):
    return run(
        *("providers", "add", slug, "--client-id", "Iv1.8a61", "--client-secret-stdin", "--json", *options), stdin=stdin
    )


def test_a_provider_s_life(installed):
    made = add(installed, "--preset", "github", "--allow-sign-up")
    assert made.code == 0, made.err
    assert made.json["callback"] == "https://id.example.org/upstream/github/callback"
    assert (made.json["kind"], made.json["has_client_secret"], made.json["allow_sign_up"]) == ("oauth", True, True)
    assert made.json["scope"] == "read:user user:email"
    assert made.json["callback"] in made.err  # a person is told what to register there
    assert "s3cret" not in made.out + made.err
    assert installed("providers", "show", "github", "--json").json == made.json | {"linked": 0}
    assert installed("providers", "list", "--json").json == [made.json]
    [line] = installed("providers", "list").out.splitlines()
    assert line.split("\t")[:4] == ["github", "oauth", "GitHub", "Iv1.8a61"]
    changed = installed("providers", "update", "github", "--label", "Hub", "--no-sign-up", "--disable", "--json").json
    assert (changed["label"], changed["allow_sign_up"], changed["status"]) == ("Hub", False, "disabled")
    again = installed(
        "providers", "update", "github", "--client-secret-stdin", "--enable", "--json", stdin="new\n"
    ).json
    assert again["status"] == "active"
    assert installed("providers", "check", "github", "--json").json["token_endpoint"].startswith("https://github.com/")
    refused = installed("providers", "remove", "github")
    assert (refused.code, "--yes is needed" in refused.err) == (2, True)
    assert "0 accounts lose this way in" in refused.err
    assert installed("providers", "remove", "github", "--dry-run").code == 0
    assert installed("providers", "remove", "github", "--yes").code == 0
    assert installed("providers", "list", "--json").json == []


def test_an_openid_provider_is_named_by_its_issuer(installed):
    made = add(
        installed, "--issuer", "https://id.partner.example", "--auth-method", "client_secret_post", slug="partner"
    )
    assert (made.json["kind"], made.json["scope"], made.json["auth_method"]) == (
        "oidc",
        "openid email profile",
        "client_secret_post",
    )
    public = installed(
        *("providers", "add", "public", "--client-id", "we", "--no-client-secret", "--json"),
        *("--issuer", "https://id.partner.example"),
    )
    assert (public.json["auth_method"], public.json["has_client_secret"]) == ("none", False)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--issuer", "http://id.partner.example"], "issuer"),
        (["--issuer", "https://id.partner.example", "--auth-method", "magic"], "auth_method"),
        (["--issuer", "https://id.partner.example", "--scope", 'a"b'], "scope"),
        (["--authorization-endpoint", "https://hub.example/authorize"], "token_endpoint"),
        (["--preset", "myspace"], "preset"),
    ],
)
def test_what_is_refused_names_the_option(installed, options, field):
    refused = add(installed, *options)
    assert (refused.code, refused.problem["field"]) == (1, field)


def test_the_secret_comes_by_stdin_or_a_prompt_and_never_as_an_argument(installed):
    none = installed("providers", "add", "github", "--preset", "github", "--client-id", "we")
    assert (none.code, "--client-secret-stdin" in none.err) == (2, True)
    assert add(installed, "--preset", "github", stdin="").code == 2
    assert installed("providers", "add", "--client-secret", "x").code == 2


def test_a_provider_that_is_not_there_is_said_to_be_so(installed):
    for verb in ("show", "check", "update"):
        gone = installed("providers", verb, "nobody", "--json")
        assert (gone.code, gone.problem["detail"]) == (1, "There is no provider nobody.")
