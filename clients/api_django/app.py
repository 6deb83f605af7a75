"""A sample resource server on Django REST framework: it verifies the issuer's access tokens locally.

python clients/api_django/app.py --issuer http://localhost:9000 --port 9004
"""

import argparse
import os

import uvicorn


def main() -> None:
    """Serve until interrupted. Options win over the environment's ISSUER, AUDIENCE and PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--issuer", default=os.environ.get("ISSUER", "http://localhost:9000"))
    parser.add_argument("--port", default=os.environ.get("PORT", "9004"))
    parser.add_argument("--audience", default=os.environ.get("AUDIENCE"), help="default: http://localhost:PORT")
    options = parser.parse_args()
    os.environ |= {
        "ISSUER": options.issuer,
        "PORT": options.port,
        "AUDIENCE": options.audience or f"http://localhost:{options.port}",
        "DJANGO_SETTINGS_MODULE": "settings",  # beside this file, which Python put first on its path
    }
    from django.core.asgi import get_asgi_application  # noqa: PLC0415  # it reads the settings

    from authserver_verifier.django import get_verifier  # noqa: PLC0415  # the same

    get_verifier()  # what is wrong with the settings shows at the start, not at the first request
    uvicorn.run(get_asgi_application(), host="127.0.0.1", port=int(options.port), log_level="warning", lifespan="off")


if __name__ == "__main__":
    main()
