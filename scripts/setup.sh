#!/usr/bin/env bash
# One step of the set-up: packages, venv, probe or engine. `make setup` runs those whose inputs have changed;
# each step can be repeated at any time and leaves a stamp in .setup/.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin:/sbin:$HOME/.cargo/bin"

readonly RUST_MIN=1.88 # arrow's; Debian's rustc-web is newer than Debian's rustc

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
stamp() { mkdir -p .setup && touch ".setup/$1"; }

# The first Python ≥ 3.11 that can make a virtual environment.
python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3 "$HOME"/.pyenv/versions/3.1[1-9]*/bin/python3; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# The newest cargo and rustc there are: rustup's or Debian's.
rust_is_new_enough() {
    local version
    version=$(rustc --version 2>/dev/null | cut -d' ' -f2) && command -v cargo >/dev/null &&
        [ "$(printf '%s\n' "$RUST_MIN" "$version" | sort -V | head -1)" = "$RUST_MIN" ]
}

packages() {
    local proof package missing=()
    while read -r proof package; do
        case $proof in
            '#'* | '') continue ;;
            /*) [ -e "$proof" ] || missing+=("$package") ;;
            *) command -v "$proof" >/dev/null || missing+=("$package") ;;
        esac
    done <scripts/packages.txt
    python >/dev/null || missing+=(python3 python3-venv)
    rust_is_new_enough || missing+=(rustc-web cargo-web)
    if [ ${#missing[@]} -gt 0 ]; then
        [ "$(id -u)" = 0 ] || die "please install first, as root: apt-get install ${missing[*]}"
        command -v apt-get >/dev/null || die "no apt-get here; please install what Debian calls: ${missing[*]}"
        say "Installing Debian packages: ${missing[*]}"
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
        python >/dev/null || die "needs Python ≥ 3.11 with venv; set PYTHON to one"
        rust_is_new_enough || die "needs rustc ≥ $RUST_MIN, found: $(rustc --version 2>&1)"
    fi
    stamp packages
}

venv() {
    [ -x .venv/bin/python ] || { say "Making the virtual environment .venv with $(python)"; "$(python)" -m venv .venv; }
    say "Installing Python packages"
    .venv/bin/python -m pip install --disable-pip-version-check -q --upgrade pip
    # pip wants the names alone: the project itself is built by the step `engine`.
    .venv/bin/python - <<'PY' >.setup/requirements.txt
import tomllib
with open("pyproject.toml", "rb") as file:
    config = tomllib.load(file)
project, extras = config["project"], config["project"]["optional-dependencies"]
def expand(names):
    for name in names:
        if name.startswith("tiercel["):
            for extra in name[8:-1].split(","):
                yield from expand(extras[extra])
        else:
            yield name
print(*sorted({*config["build-system"]["requires"], *project["dependencies"], *expand(extras["dev"])}), sep="\n")
PY
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar on -r .setup/requirements.txt |
        { grep -v '^Requirement already satisfied' || true; }
    stamp venv
}

probe() {
    say "Compiling the probe"
    make --no-print-directory -C probe
    stamp probe
}

engine() {
    say "Building the engine (release mode; the first time takes some minutes)"
    VIRTUAL_ENV="$PWD/.venv" .venv/bin/maturin develop --release
    stamp engine
}

mkdir -p .setup
case "${1:-}" in
    packages | venv | probe | engine) "$1" ;;
    *) die "usage: scripts/setup.sh packages|venv|probe|engine" ;;
esac
