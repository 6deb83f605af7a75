"""Runs the README's program for one framework as it is printed, and prints what it answers: a program of its own.

    python run_readme.py README.md "Django REST framework"

The answers to a request with the scope, without it, and without a token, as JSON. The wheel and these lines are all it
needs, and the framework.
"""

import asyncio
import importlib
import json
import re
import sys
from pathlib import Path
from typing import ClassVar

import httpx2

from authserver_verifier.testing import FakeIssuer

AUDIENCE = "https://notes.example.com"


def find_programs(readme, heading):
    section = readme.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


class Urls:
    """What Django takes for a URL configuration: anything with patterns."""

    urlpatterns: ClassVar = []


def make_django_app(settings_lines, view_lines):
    values = {}
    exec(settings_lines, values)
    named = {name: value for name, value in values.items() if name.isupper()}
    if "REST_FRAMEWORK" in named:  # this program has no database, so django.contrib.auth's anonymous user has no place
        named["REST_FRAMEWORK"] |= {"UNAUTHENTICATED_USER": None}
    settings = importlib.import_module("django.conf").settings
    settings.configure(ROOT_URLCONF=Urls, SECRET_KEY="x", ALLOWED_HOSTS=["*"], **named)
    importlib.import_module("django").setup()
    names = {"__name__": "views"}
    exec(view_lines, names)
    view = names["Notes"].as_view() if "Notes" in names else names["notes"]
    Urls.urlpatterns = [importlib.import_module("django.urls").path("notes", view)]
    return importlib.import_module("django.core.wsgi").get_wsgi_application()


async def ask(transport, headers):
    async with httpx2.AsyncClient(transport=transport, base_url=AUDIENCE) as client:
        return await client.get("/notes", headers=headers)


def main():
    readme, heading = Path(sys.argv[1]).read_text(), sys.argv[2]
    with FakeIssuer() as issuer:
        programs = [lines.replace("https://login.example.com", issuer.url) for lines in find_programs(readme, heading)]
        if heading.startswith("Django"):
            app = make_django_app(*programs[:2])
        else:
            names = {"__name__": "notes"}
            exec(programs[0], names)
            app = names["app"]
        answers = []
        tokens = [issuer.token(AUDIENCE, scope=scope) for scope in ("notes.read", "notes.write")]
        for headers in [*({"authorization": f"Bearer {token}"} for token in tokens), {}]:
            if heading.startswith(("Django", "Flask")):
                client = httpx2.Client(transport=httpx2.WSGITransport(app=app), base_url=AUDIENCE)
                answer = client.get("/notes", headers=headers)
            else:
                answer = asyncio.run(ask(httpx2.ASGITransport(app=app), headers))
            answers.append([answer.status_code, answer.headers.get("www-authenticate", ""), answer.json()])
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
