#!/bin/sh
# Makes the secrets that compose.yaml mounts, in ./secrets, and leaves those that are there already.
#
#   deploy/compose/make-secrets.sh              the history in SQLite
#   deploy/compose/make-secrets.sh --postgres   the history in the PostgreSQL of the profile `postgres`
#
# The token of the admin key comes from the image tripline:local; set TRIPLINE to run the command in another way.
set -eu

tripline=${TRIPLINE:-docker run --rm tripline:local}
# Containers read the files as users of their own, so the files are readable; the folder keeps other people out.
umask 022
mkdir -p secrets
chmod 700 secrets

random() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# keep NAME COMMAND…: what the command prints becomes the secret, unless there is one.
keep() {
  name=$1
  shift
  [ -s "secrets/$name" ] || { "$@" >"secrets/$name.new" && mv "secrets/$name.new" "secrets/$name"; }
}

api_keys() {
  token=$($tripline keys new-token 2>/dev/null)
  printf -- '- name: admin\n  scopes: [admin]\n  token: %s\n' "$token"
}

keep redis-password random
keep redis-url printf 'redis://:%s@redis:6379' "$(cat secrets/redis-password)"
keep postgres-password random
if [ "${1:-}" = --postgres ]; then
  keep history-url printf 'postgres://tripline:%s@postgres/tripline' "$(cat secrets/postgres-password)"
else
  keep history-url printf 'sqlite:/data/.tripline/history.sqlite'
fi
keep api-keys.yaml api_keys
echo "The secrets are in ./secrets. The token of the admin key is in secrets/api-keys.yaml."
