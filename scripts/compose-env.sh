#!/usr/bin/env bash
# Writes .env beside docker-compose.yml: fresh passwords, and the address by which hosts reach Kafka (host:port, the first
# argument). A file that is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -eq 1 ] || { echo "usage: scripts/compose-env.sh HOST:PORT (by which hosts reach Kafka)" >&2; exit 2; }
case $1 in
    *:[0-9]*) ;;
    *) echo "compose-env: $1 is not host:port" >&2; exit 2 ;;
esac
[ ! -e .env ] || { echo "compose-env: .env is there already" >&2; exit 1; }

secret() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
umask 077
made=$(mktemp .env.XXXXXX)
trap 'rm -f "$made"' EXIT
{
    # 16 random bytes as Kafka writes ids; a dash at the beginning would be taken for an option.
    echo "KAFKA_CLUSTER_ID=T$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c2-22)"
    echo "KAFKA_ADVERTISED=$1"
    echo "KAFKA_PORT=${1##*:}"
    grep -o '\${[A-Z_]*\(PASSWORD\|TOKEN\):?' docker-compose.yml | tr -d '${:?' | sort -u |
        while read -r name; do echo "$name=$(secret)"; done
} >"$made"
mv "$made" .env
echo "wrote .env: collectors log in as user collector with KAFKA_COLLECTOR_PASSWORD"
