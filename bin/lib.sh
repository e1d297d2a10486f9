# What bin/demo and bin/test share: setting up a Debian machine. Sourced by bash, from any directory.
# shellcheck shell=bash disable=SC2034 # what is not used here is used there

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
PACKAGES_NEEDED_MIB=700

# What the product runs besides Python:
#   buildroots   mmdebstrap, debian-archive-keyring, dpkg-dev, apt-utils, fakeroot, zstd, xz-utils, uidmap
#   signatures   gpg, gpg-agent, gpgv
#   children     util-linux (unshare, setpriv), procps
#   apt's https  ca-certificates
RUNTIME_PACKAGES=(
  python3 python3-venv ca-certificates util-linux procps mount
  mmdebstrap debian-archive-keyring dpkg-dev apt-utils fakeroot zstd xz-utils uidmap libseccomp2 gpg gpg-agent gpgv
)
# What the tests run besides that: git for the wheel test's clean copy, bubblewrap for the backend bwrap, and
# systemd-container for the backend nspawn where systemd is already: it would bring an init system elsewhere.
TEST_PACKAGES=(git bubblewrap)
[ ! -d /run/systemd/system ] && ! command -v systemctl >/dev/null || TEST_PACKAGES+=(systemd-container)

if [ -t 1 ]; then BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'; else BOLD='' DIM='' RED='' GREEN='' PLAIN=''; fi

say() { printf '%s\n' "$*"; }

heading() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }

# fail WHAT_HAPPENED WHAT_TO_DO
fail() {
  printf '\n%serror:%s %s\n  %s\n' "$RED$BOLD" "$PLAIN" "$1" "$2" >&2
  exit 1
}

require_debian() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null || [ ! -r /etc/debian_version ]; then
    fail "this is not Debian: there is no apt" "use a Debian 12 or newer machine, virtual machine or container"
  fi
}

# Runs a command as root: as it is for root, through sudo for others.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -- "$@"; fi
}

# require_root WHY
require_root() {
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    fail "root is needed to $1, and there is no sudo" "run it as root: su -c '$ROOT/bin/$(basename "$0")'"
  fi
}

# require_space DIRECTORY MIB: the nearest existing parent counts.
require_space() {
  local directory=$1 free
  while [ ! -d "$directory" ]; do directory=$(dirname "$directory"); done
  free=$(df --output=avail -m "$directory" | tail -n 1)
  [ "$free" -ge "$2" ] ||
    fail "$2 MiB are needed in $directory, $((free)) MiB are free" "free some space there (apt-get clean helps), or clone to a larger disk"
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
  done
}

# install_packages PACKAGE...: only what is missing; apt's words are shown only if it fails.
install_packages() {
  local missing log
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  require_root "install ${missing% }"
  require_space /var/cache/apt 600
  log=$(mktemp)
  say "installing ${missing% }"
  # shellcheck disable=SC2086 # one word a package
  if ! as_root apt-get update >"$log" 2>&1 ||
    ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 $missing >>"$log" 2>&1 </dev/null; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    fail "apt could not install ${missing% }" \
      "its last words are above; check the network and the mirrors named in /etc/apt/sources.list and /etc/apt/sources.list.d, then run this again"
  fi
  rm -f "$log"
}

# A Python that is new enough and can make a venv: the one on PATH first, whoever made it, then Debian's.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import ensurepip, ssl, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  fail "no Python 3.11 or newer that can make a venv was found" "use Debian 12 or newer, or put a newer python3 on PATH"
}

# setup_venv LOCK: .venv with exactly what LOCK pins, and the project itself from this directory.
# A stamp makes the next run do nothing.
setup_venv() {
  local lock=$ROOT/$1 stamp=$VENV/.setup-$1 wanted python log
  wanted=$(cat "$lock" "$ROOT/pyproject.toml" | sha256sum)
  if [ -r "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && "$VENV/bin/python" -c '' 2>/dev/null; then return 0; fi
  require_space "$ROOT" "$PACKAGES_NEEDED_MIB"
  python=$(find_python) || exit 1
  if ! "$VENV/bin/python" -c '' 2>/dev/null; then
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear "$VENV" || fail "$python could not make a venv" "its message is above"
  fi
  say "installing the Python packages of $1"
  log=$(mktemp)
  if ! "$VENV/bin/python" -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps \
    --only-binary :all: -r "$lock" >"$log" 2>&1 ||
    ! "$VENV/bin/python" -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation \
      --editable "$ROOT" >>"$log" 2>&1; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    fail "pip could not install $1" "its last words are above; check that this machine reaches its Python package index (pip config list)"
  fi
  rm -f "$log"
  printf '%s\n' "$wanted" >"$stamp"
}
