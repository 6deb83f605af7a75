#!/bin/sh
# The same by curl. The secret goes in by a file of curl's own kind: arguments show in the list of processes.
set -eu
issuer="${ISSUER:-http://localhost:9000}" api="${API:-http://localhost:9001}"
token=$(printf 'user = "%s:%s"\n' "$CLIENT_ID" "$CLIENT_SECRET" |
	curl -sSf -K - "$issuer/token" -d grant_type=client_credentials --data-urlencode "resource=$api" |
	sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p')
printf 'header = "Authorization: Bearer %s"\n' "$token" | curl -sSf -K - "$api/whoami"
