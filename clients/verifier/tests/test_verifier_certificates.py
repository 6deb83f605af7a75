"""Tokens bound to a client certificate (RFC 8705 §3; SECURITY A5 row 78)."""

import base64
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from authserver_verifier import ProtectedRequest, Refusal, Verifier, from_asgi, from_wsgi, require

AUDIENCE = "https://notes.example.com"
ANYTHING = require(())


def make_certificate(name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 7, now, now + timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


OURS, OTHER = make_certificate("ours"), make_certificate("other")
THUMBPRINT = base64.urlsafe_b64encode(hashlib.sha256(OURS).digest()).rstrip(b"=").decode()


def pem(certificate):
    return ssl.DER_cert_to_PEM_cert(certificate)


@pytest.fixture
def token(issuer):
    return issuer.token(AUDIENCE, cnf={"x5t#S256": THUMBPRINT})


@pytest.fixture
def behind_a_proxy(issuer, clocks):
    return Verifier(
        issuer.url, AUDIENCE, certificate_header="Client-Cert", clock=clocks.wall, monotonic=clocks.monotonic
    )


def request(token, *values, certificate=None):
    headers = [(b"authorization", f"Bearer {token}".encode()), *((b"client-cert", value.encode()) for value in values)]
    return ProtectedRequest(method="GET", path="/", query=b"", headers=tuple(headers), certificate=certificate)


def test_a_token_is_taken_from_the_holder_of_its_certificate(verify, token):
    access_token = verify.authorize(request(token, certificate=pem(OURS)), ANYTHING)
    assert access_token.bound_certificate == THUMBPRINT


@pytest.mark.attack(78)
@pytest.mark.parametrize(
    ("certificate", "refusal"),
    [
        (pem(OTHER), Refusal.CERTIFICATE_WRONG),
        (None, Refusal.CERTIFICATE_MISSING),
        ("", Refusal.CERTIFICATE_MISSING),
        ("no certificate", Refusal.CERTIFICATE_MISSING),
    ],
)
def test_another_certificate_or_none_is_refused(certificate, refusal, verify, token, refused):
    with refused(refusal):
        verify.authorize(request(token, certificate=certificate), ANYTHING)


@pytest.mark.attack(78)
def test_a_header_that_nobody_configured_proves_nothing(verify, token, refused):
    with refused(Refusal.CERTIFICATE_MISSING):
        verify.authorize(request(token, quote(pem(OURS))), ANYTHING)


@pytest.mark.parametrize("value", [quote(pem(OURS)), f":{base64.b64encode(OURS).decode()}:"], ids=["PEM", "RFC 9440"])
def test_a_proxy_tells_the_certificate_in_the_configured_header(value, behind_a_proxy, token):
    assert behind_a_proxy.authorize(request(token, value), ANYTHING)


@pytest.mark.attack(78)
@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        pytest.param([quote(pem(OTHER))], Refusal.CERTIFICATE_WRONG, id="another one"),
        pytest.param([], Refusal.CERTIFICATE_MISSING, id="none"),
        pytest.param([""], Refusal.CERTIFICATE_MISSING, id="an empty header"),
        pytest.param([quote(pem(OURS))] * 2, Refusal.CERTIFICATE_MISSING, id="two headers"),
        pytest.param([":A:"], Refusal.CERTIFICATE_MISSING, id="no base64"),
        pytest.param(["x" * 20_000], Refusal.CERTIFICATE_MISSING, id="endless"),
        pytest.param(["%FF%FE"], Refusal.CERTIFICATE_MISSING, id="no text"),
    ],
)
def test_behind_a_proxy_only_one_good_header_counts(values, refusal, behind_a_proxy, token, refused):
    with refused(refusal):
        behind_a_proxy.authorize(request(token, *values, certificate=pem(OURS)), ANYTHING)


def test_a_server_that_ends_tls_tells_the_certificate_itself():
    chain = {"tls": {"client_cert_chain": [pem(OURS), pem(OTHER)]}}
    scope = {"type": "http", "path": "/", "headers": [], "extensions": chain}
    assert from_asgi(scope).certificate == pem(OURS)
    for extensions in ({}, None, {"tls": {}}, {"tls": {"client_cert_chain": []}}):
        assert from_asgi(scope | {"extensions": extensions}).certificate is None
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SSL_CLIENT_CERT": pem(OURS), "HTTP_SSL_CLIENT_CERT": "x"}
    assert from_wsgi(environ).certificate == pem(OURS)
    assert from_wsgi(environ | {"SSL_CLIENT_CERT": ""}).certificate is None
