# The issuer (target `server`, the default) and the samples (target `samples`).
# No digest is pinned here because none has been verified; pin yours for production:
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:... .
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python -m venv /opt/authserver
COPY requirements/runtime.txt requirements/runtime.txt
RUN /opt/authserver/bin/pip install --require-hashes --only-binary=:all: -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY authserver authserver
RUN /opt/authserver/bin/pip install --no-deps --no-build-isolation .

FROM build AS build-samples
COPY clients clients
RUN /opt/authserver/bin/pip install --no-deps --no-build-isolation ./clients/verifier

FROM ${PYTHON_IMAGE} AS base
LABEL org.opencontainers.image.title="authserver" \
      org.opencontainers.image.description="OAuth 2.1 and OpenID Connect issuer" \
      org.opencontainers.image.licenses="Apache-2.0"
# /data holds the SQLite file, /keys the sealing key; with /tmp they are all that is ever written to.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin authserver \
    && install -d -o 10001 -g 10001 -m 0700 /data /keys
ENV PATH=/opt/authserver/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
STOPSIGNAL SIGTERM

FROM base AS samples
COPY --from=build-samples /opt/authserver /opt/authserver
COPY clients /srv/clients
WORKDIR /srv/clients

FROM base AS server
COPY --from=build /opt/authserver /opt/authserver
ENV AUTHSERVER_DATABASE_URL=sqlite:////data/authserver.sqlite3 \
    AUTHSERVER_SEALING_KEY_FILE=/keys/sealing.key
VOLUME ["/data", "/keys"]
EXPOSE 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["authserver", "healthcheck"]
ENTRYPOINT ["authserver"]
CMD ["serve", "--host", "0.0.0.0", "--port", "9000"]
