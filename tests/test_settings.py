"""Settings: read from three places, checked whole, and refused with everything an operator needs to mend them."""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from authserver.settings import ClientRegistration, Destination, Settings, SettingsError, describe, load_settings

ISSUER = {"AUTHSERVER_ISSUER": "https://issuer.example"}
ANDROID = "android:apk-key-hash:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"


def errors_of(environ, cwd, **kwargs):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, cwd, **kwargs)
    return str(caught.value).splitlines()


def test_only_the_issuer_must_be_set_and_the_lifetimes_are_those_of_the_design(tmp_path):
    settings = load_settings(ISSUER, tmp_path)
    assert settings.issuer == "https://issuer.example"
    assert settings.sealing_key_file == Path("keys/sealing.key")
    assert settings.client_registration is ClientRegistration.OFF
    assert (settings.trusted_proxies, settings.outbound_allow) == ((), ())
    seconds = {name: value.total_seconds() for name, value in settings if isinstance(value, timedelta)}
    assert seconds == {
        "max_stale": 10,
        "drain_seconds": 5,
        "jwks_max_age": 300,
        "access_token_lifetime": 300,
        "id_token_lifetime": 300,
        "authorization_code_lifetime": 60,
        "refresh_token_idle_lifetime": 86400,
        "refresh_token_absolute_lifetime": 2592000,
        "refresh_token_grace": 10,
        "session_idle_lifetime": 43200,
        "session_absolute_lifetime": 2592000,
    }


def test_environment_goes_over_file_goes_over_given_defaults_goes_over_built_in_ones(tmp_path):
    (tmp_path / "authserver.toml").write_text(
        'issuer = "https://file.example"\nmax_stale = 20\nid_token_lifetime = "30"'
    )
    environ = {"AUTHSERVER_ISSUER": "https://environment.example", "AUTHSERVER_LOG_LEVEL": "debug"}
    defaults = {
        "issuer": "http://localhost:9000",
        "max_stale": timedelta(seconds=5),
        "jwks_max_age": timedelta(seconds=10),
    }
    settings = load_settings(environ, tmp_path, defaults=defaults)
    assert settings.issuer == "https://environment.example"
    assert settings.log_level == "DEBUG"
    assert settings.max_stale == timedelta(seconds=20)
    assert settings.id_token_lifetime == timedelta(seconds=30)
    assert settings.jwks_max_age == timedelta(seconds=10)
    assert settings.access_token_lifetime == timedelta(seconds=300)


def test_the_process_environment_is_not_read_behind_the_callers_back(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTHSERVER_ISSUER", "https://process.example")
    monkeypatch.setenv("ISSUER", "https://process.example")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    assert load_settings(ISSUER, tmp_path) == Settings(issuer="https://issuer.example")


def test_an_empty_environment_variable_is_not_set(tmp_path):
    assert load_settings(
        {**ISSUER, "AUTHSERVER_MAX_STALE": "", "AUTHSERVER_CONFIG": ""}, tmp_path
    ).max_stale == timedelta(seconds=10)


def test_lists_are_comma_separated_and_may_be_arrays_in_the_file(tmp_path):
    (tmp_path / "authserver.toml").write_text('trusted_proxies = ["10.0.0.0/8", "::1"]')
    environ = {**ISSUER, "AUTHSERVER_OUTBOUND_ALLOW": "192.168.0.0/16, rs.local:8443,[::1]:80,127.0.0.1"}
    settings = load_settings(environ, tmp_path)
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.outbound_allow == (
        ip_network("192.168.0.0/16"),
        Destination("rs.local", 8443),
        Destination("::1", 80),
        ip_network("127.0.0.1/32"),
    )


def test_android_apps_are_named_by_their_certificates(tmp_path):
    environ = {**ISSUER, "AUTHSERVER_PASSKEY_ORIGINS": f"{ANDROID},\n{ANDROID[:-1]}E"}
    assert load_settings(environ, tmp_path).passkey_origins == (ANDROID, f"{ANDROID[:-1]}E")
    assert load_settings(ISSUER, tmp_path).passkey_origins == ()


def test_another_file_can_be_named_and_must_then_exist(tmp_path):
    (tmp_path / "other.toml").write_text('issuer = "https://other.example"')
    assert load_settings({"AUTHSERVER_CONFIG": "other.toml"}, tmp_path).issuer == "https://other.example"
    assert "there is no file" in errors_of({**ISSUER, "AUTHSERVER_CONFIG": "absent.toml"}, tmp_path)[0]


def test_a_file_that_is_no_toml_is_one_error_that_says_where(tmp_path):
    (tmp_path / "authserver.toml").write_text("issuer = x")
    (line,) = errors_of(ISSUER, tmp_path)
    assert "authserver.toml: cannot be read as TOML" in line
    assert "line 1" in line


def test_every_wrong_setting_is_named_at_once_with_value_origin_and_what_is_allowed(tmp_path):
    (tmp_path / "authserver.toml").write_text('max_stale = true\nlog_levell = "INFO"')
    environ = {
        "AUTHSERVER_ISSUR": "https://issuer.example",
        "AUTHSERVER_TRUSTED_PROXIES": "10.0.0.0/8,proxy",
        "AUTHSERVER_CLIENT_REGISTRATION": "maybe",
        "authserver_drain_seconds": "5",
    }
    assert set(errors_of(environ, tmp_path)) == {
        "AUTHSERVER_ISSUR: unknown; did you mean AUTHSERVER_ISSUER?",
        "authserver_drain_seconds: unknown; did you mean AUTHSERVER_DRAIN_SECONDS?",
        "authserver.toml: log_levell: unknown; did you mean log_level?",
        (
            "AUTHSERVER_ISSUER: is not set; allowed: an https:// URL, or http:// on loopback; lower-case host, "
            "no path, no slash at the end, no query or fragment"
        ),
        "AUTHSERVER_MAX_STALE: True (authserver.toml) is refused; allowed: whole seconds, 1 to 300",
        "AUTHSERVER_TRUSTED_PROXIES: '10.0.0.0/8,proxy' (environment) is refused; allowed: networks, comma-separated",
        "AUTHSERVER_CLIENT_REGISTRATION: 'maybe' (environment) is refused; allowed: off, token or open",
    }


def test_an_unknown_name_that_is_near_to_nothing_is_just_unknown(tmp_path):
    assert errors_of({**ISSUER, "AUTHSERVER_XQZ": "1"}, tmp_path) == ["AUTHSERVER_XQZ: unknown"]


@pytest.mark.attack(123)
def test_a_wrong_secret_is_not_shown(tmp_path):
    (line,) = errors_of({**ISSUER, "AUTHSERVER_DATABASE_URL": "mysql://u:canary@host/name"}, tmp_path)
    assert line.startswith("AUTHSERVER_DATABASE_URL: the value (environment) is refused; allowed: sqlite:///")
    assert "canary" not in line


@pytest.mark.attack(123)
def test_the_password_of_the_database_is_not_in_the_settings_text():
    settings = Settings(issuer="https://issuer.example", database_url="postgresql://u:canary@host/name")
    assert "canary" not in repr(settings) + str(settings)


def test_a_secret_may_come_from_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql://u:p@host/name\n")
    settings = load_settings({**ISSUER, "AUTHSERVER_DATABASE_URL_FILE": str(tmp_path / "url")}, tmp_path)
    assert settings.database_url == "postgresql://u:p@host/name"
    (tmp_path / "authserver.toml").write_text('database_url = "sqlite:///x.sqlite3"')
    settings = load_settings({**ISSUER, "AUTHSERVER_DATABASE_URL_FILE": "url"}, tmp_path)
    assert settings.database_url == "postgresql://u:p@host/name", "the environment goes over the file"


def test_a_secret_from_a_file_that_is_wrong_or_absent_or_set_twice_is_refused(tmp_path):
    (tmp_path / "url").write_text("canary")
    (line,) = errors_of({**ISSUER, "AUTHSERVER_DATABASE_URL_FILE": "url"}, tmp_path)
    assert line.startswith("AUTHSERVER_DATABASE_URL: the value (the file url) is refused")
    assert "canary" not in line
    (line,) = errors_of({**ISSUER, "AUTHSERVER_DATABASE_URL_FILE": "absent"}, tmp_path)
    assert line.startswith("AUTHSERVER_DATABASE_URL_FILE: 'absent' (environment) cannot be read")
    both = {**ISSUER, "AUTHSERVER_DATABASE_URL_FILE": "url", "AUTHSERVER_DATABASE_URL": "sqlite:///x"}
    (line,) = errors_of(both, tmp_path)
    assert "set one of them" in line


@pytest.mark.parametrize(
    "issuer",
    [
        "https://issuer.example",
        "https://issuer.example:8443",
        "https://xn--bcher-kva.example",
        "https://[2001:db8::1]:8443",
        "http://localhost:9000",
        "http://127.0.0.1:9000",
        "http://127.8.8.8",
        "http://[::1]:9000",
    ],
)
def test_an_issuer_is_https_or_on_loopback(issuer, tmp_path):
    settings = load_settings({"AUTHSERVER_ISSUER": issuer}, tmp_path)
    assert settings.issuer == issuer
    assert settings.is_on_loopback == issuer.startswith("http://")


@pytest.mark.attack(110)
@pytest.mark.parametrize(
    "issuer",
    [
        "http://issuer.example",
        "http://localhost.issuer.example",
        "http://0.0.0.0:9000",
        "https://issuer.example/",
        "https://issuer.example/path",
        "https://issuer.example?",
        "https://issuer.example?a=b",
        "https://issuer.example#",
        "https://issuer.example#f",
        "https://user@issuer.example",
        "https://user:password@issuer.example",
        "https://@issuer.example",
        "https://Issuer.example",
        "HTTPS://issuer.example",
        "https://issuer.example:443",
        "http://localhost:80",
        "https://issuer.example:",
        "https://issuer.example:08443",
        "https://issuer.example:99999",
        "https://issuer.example:x",
        "https://",
        "https://:8443",
        "https://b\u00fccher.example",
        "https://issuer .example",
        " https://issuer.example",
        "https://issuer.example\n",
        "https://issuer.example\\x",
        "https://iss%75er.example",
        "https://[::1",
        "ftp://issuer.example",
        "issuer.example",
        "//issuer.example",
    ],
)
def test_an_issuer_has_one_spelling_and_nothing_but_scheme_host_and_port(issuer, tmp_path):
    (line,) = errors_of({"AUTHSERVER_ISSUER": issuer}, tmp_path)
    assert line.startswith(f"AUTHSERVER_ISSUER: {issuer!r} (environment) is refused; allowed: an https:// URL")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_STALE", "0"),
        ("MAX_STALE", "-1"),
        ("MAX_STALE", "1.5"),
        ("MAX_STALE", "1e3"),
        ("MAX_STALE", "\u0663"),
        ("MAX_STALE", "9" * 400),
        ("ACCESS_TOKEN_LIFETIME", "86401"),
        ("AUTHORIZATION_CODE_LIFETIME", "601"),
        ("REFRESH_TOKEN_GRACE", "61"),
        ("ADDRESS_LIMIT_SCALE", "0"),
        ("ADDRESS_LIMIT_SCALE", "nan"),
        ("ADDRESS_LIMIT_SCALE", "inf"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("OUTBOUND_ALLOW", "host"),
        ("OUTBOUND_ALLOW", "host:0"),
        ("OUTBOUND_ALLOW", "https://host:443"),
        ("OUTBOUND_CA_FILE", "/nonexistent/ca.pem"),
        ("LOG_LEVEL", "LOUD"),
        ("PASSKEY_ORIGINS", "https://app.example"),
        ("PASSKEY_ORIGINS", "android:apk-key-hash:"),
        ("PASSKEY_ORIGINS", ANDROID + "="),
        ("PASSKEY_ORIGINS", ANDROID[:-1] + "1"),
        ("PASSKEY_ORIGINS", ANDROID.upper()),
        ("PASSKEY_ORIGINS", f"{ANDROID} {ANDROID}"),
        ("PASSKEY_ORIGINS", "android:apk-key-hash:" + ":".join(["BA"] * 32)),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite://memory"),
        ("REFRESH_TOKEN_IDLE_LIFETIME", "2592001"),
        ("SESSION_IDLE_LIFETIME", "2592001"),
    ],
)
def test_a_value_outside_what_is_allowed_is_refused(name, value, tmp_path):
    (line,) = errors_of({**ISSUER, f"AUTHSERVER_{name}": value}, tmp_path)
    assert line.startswith(f"AUTHSERVER_{name}: ")
    assert "; allowed: " in line
    assert len(line) < 400


@given(
    st.sampled_from([d.name for d in describe()]),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60),
)
def test_no_text_escapes_as_another_error(name, value):
    with contextlib.suppress(SettingsError):
        assert load_settings({**ISSUER, name: value}, Path(os.devnull).parent).issuer.startswith("http")


@pytest.mark.parametrize("value", ["1" + "0" * 30, "[1]", "{a = 1}", "1979-05-27", "-5", "0.5"])
def test_no_toml_value_escapes_as_another_error(value, tmp_path):
    (tmp_path / "authserver.toml").write_text(
        "\n".join(f"{d.name.removeprefix('AUTHSERVER_').lower()} = {value}" for d in describe())
    )
    assert len(errors_of({}, tmp_path)) > 10


def test_values_at_their_bounds_are_accepted(tmp_path):
    (tmp_path / "ca.pem").touch()
    environ = {
        "AUTHSERVER_OUTBOUND_CA_FILE": str(tmp_path / "ca.pem"),
        "AUTHSERVER_REFRESH_TOKEN_IDLE_LIFETIME": "2592000",
        "AUTHSERVER_REFRESH_TOKEN_GRACE": "0",
        "AUTHSERVER_DRAIN_SECONDS": "0",
        "AUTHSERVER_ACCESS_TOKEN_LIFETIME": "86400",
        "AUTHSERVER_ADDRESS_LIMIT_SCALE": "0.5",
    }
    settings = load_settings(ISSUER | environ, tmp_path)
    assert settings.outbound_ca_file == tmp_path / "ca.pem"
    assert settings.refresh_token_idle_lifetime == settings.refresh_token_absolute_lifetime
    assert (settings.refresh_token_grace, settings.drain_seconds) == (timedelta(0), timedelta(0))
    assert settings.address_limit_scale == 0.5


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        Settings(issuer="https://issuer.example").issuer = "https://other.example"


def test_every_setting_is_described_for_the_manual():
    descriptions = {description.name: description for description in describe()}
    assert set(descriptions) == {f"AUTHSERVER_{name.upper()}" for name in Settings.model_fields}
    assert all(description.meaning and description.allowed for description in descriptions.values())
    assert descriptions["AUTHSERVER_ISSUER"].default is None
    assert descriptions["AUTHSERVER_MAX_STALE"].default == "10"
    assert descriptions["AUTHSERVER_MAX_STALE"].unit == "seconds"
    assert descriptions["AUTHSERVER_LOG_LEVEL"].default == "INFO"
    secrets = {name.removeprefix("AUTHSERVER_") for name, setting in descriptions.items() if setting.is_secret}
    assert secrets == {"DATABASE_URL", "LEGACY_JWT_KEY", "SEALING_KEY", "SMTP_URL"}


@pytest.mark.parametrize(
    ("url", "encryption", "port"),
    [
        ("smtp://mail.example.org", "starttls", 587),
        ("smtp://mail.example.org:25?starttls=off", "none", 25),
        ("smtp://mail.example.org?starttls=offered", "if offered", 587),
        ("smtps://ann:s%40fe@mail.example.org", "tls", 465),
        ("smtp://ann:secret@mail.example.org:2525", "starttls", 2525),
        ("smtp://localhost:1025", "if offered", 1025),
        ("smtp://ann:secret@localhost:1025?starttls=off&rate=3", "none", 1025),
        ("smtp://[::1]:1025", "if offered", 1025),
    ],
)
def test_a_mail_server_is_spoken_to_encrypted_unless_it_is_this_machine_or_told_otherwise(url, encryption, port):
    smtp = Settings(issuer="https://issuer.example", smtp_url=url).smtp
    assert (smtp.encryption, smtp.port) == (encryption, port)
    assert "s@fe" not in repr(smtp)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://mail.example.org:port",
        "smtp://mail.example.org:0x19",
        "smtp://mail.example.org/inbox",
        "smtp://mail.example.org?starttls=maybe",
        "smtps://mail.example.org?starttls=off",
        "smtp://mail.example.org?rate=0",
        "smtp://mail.example.org?speed=9",
        "smtp://ann@mail.example.org",
        "smtp://ann:secret@mail.example.org?starttls=off",
        "smtp://ann:secret@mail.example.org?starttls=offered",
        "smtp://mail.example.org\r\nQUIT",
        "inbox:",
    ],
)
def test_a_mail_server_that_cannot_be_read_or_would_hear_a_password_in_the_clear_is_refused(url, tmp_path):
    (line,) = errors_of({**ISSUER, "AUTHSERVER_SMTP_URL": url}, tmp_path)
    assert line.startswith("AUTHSERVER_SMTP_URL: the value (environment) is refused; allowed: ")
    assert "secret" not in line.partition("allowed")[0]


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("", "", "no-reply@issuer.example"),
        ("mail@example.org", "", "mail@example.org"),
        ("Example sign-in <mail@example.org>", "Example sign-in", "mail@example.org"),
        ("Prüfstelle, Nord <mail@example.org>", "Prüfstelle, Nord", "mail@example.org"),
    ],
)
def test_mail_comes_from_the_sender_that_is_set_or_from_the_issuers_host(text, name, address):
    sender = Settings(issuer="https://issuer.example", mail_from=text).sender
    assert (sender.name, sender.address) == (name, address)


@pytest.mark.attack(115)
@pytest.mark.parametrize(
    "text",
    ["mail", "a@b@c", "Name <mail@example.org> x", "Name\r\nBcc: x <mail@example.org>", "ä@example.org", "<a@b>"],
)
def test_a_sender_that_is_no_address_is_refused(text):
    with pytest.raises(ValidationError):
        Settings(issuer="https://issuer.example", mail_from=text)
