"""A program that calls an API in its own name (RFC 6749 §4.4); the environment says who it is: see README.md."""

import os

import httpx2

ISSUER, API = os.environ.get("ISSUER", "http://localhost:9000"), os.environ.get("API", "http://localhost:9001")
CLIENT = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]


def fetch_token(http: httpx2.Client) -> str:
    """Ask for an access token; it is good for minutes: keep it, and ask again when the API answers 401."""
    metadata = http.get(f"{ISSUER}/.well-known/oauth-authorization-server").raise_for_status().json()
    form = {"grant_type": "client_credentials", "resource": API}
    answer = http.post(metadata["token_endpoint"], data=form, auth=CLIENT)
    return str(answer.raise_for_status().json()["access_token"])


if __name__ == "__main__":
    with httpx2.Client(timeout=10) as http:
        print(http.get(f"{API}/whoami", headers={"authorization": f"Bearer {fetch_token(http)}"}).text)
