# shellcheck shell=bash
# What a Debian machine needs besides the Swift toolchain; read by `run` and `test`, so that the list is in one place.

# shellcheck disable=SC2034  # used by the scripts that read this file
relaygate_packages=(
    libpq-dev libcurl4-openssl-dev libmicrohttpd-dev libsimdjson-dev libfyaml-dev
    postgresql python3-venv pkg-config curl
)

# Prints one line and ends.
fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Ends unless `swift` is there and is at least 6.2.
require_swift() {
    local text major minor
    command -v swift >/dev/null ||
        fail "swift is not in PATH; install Swift 6.2 or later (https://www.swift.org/install/linux/)"
    text=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)
    read -r major minor <<<"$text" || true
    if [[ -z ${major:-} || $major -lt 6 || ($major -eq 6 && $minor -lt 2) ]]; then
        fail "swift ${major:-?}.${minor:-?} is too old; install Swift 6.2 or later (https://www.swift.org/install/linux/)"
    fi
}

# Whether a log of apt-get says that the disk is full.
says_full() { grep -q -E 'No space left|not have enough free space' "$1"; }

# Installs the packages named that are missing; does nothing, and asks for no rights, when none is.
install_packages() {
    local missing=() package state
    command -v dpkg-query >/dev/null ||
        fail "this is not a Debian system; install the likes of these yourself: $*"
    for package in "$@"; do
        # shellcheck disable=SC2016  # the braces are for dpkg-query
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [[ $state == installed ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    local root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null ||
            fail "run this as root, then try again: apt-get update && apt-get install --yes ${missing[*]}"
        root=(sudo)
    fi
    printf 'installing %s\n' "${missing[*]}"
    local log
    log=$(mktemp)
    # apt-get update succeeds with warnings when it reaches nothing, so the install decides.
    "${root[@]}" apt-get update >"$log" 2>&1 || true
    if ! "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
        local words='Temporary failure|Could not (resolve|connect)|Failed to fetch|Unable to locate'
        if grep -q -E "$words" "$log"; then
            rm -f "$log"
            fail "cannot fetch ${missing[*]}: no network, or a mirror without them; check the network and the sources in /etc/apt"
        fi
        if says_full "$log"; then
            rm -f "$log"
            fail "cannot install ${missing[*]}: the disk is full; free about 300 MB in /var and try again"
        fi
        tail -n 15 "$log" >&2
        rm -f "$log"
        fail "apt-get could not install ${missing[*]}"
    fi
    rm -f "$log"
}

# Ends unless so many MB can be written in a directory.
require_disk() {
    local free
    free=$(df --output=avail --block-size=1M "$2" | tail -n 1 | tr -d ' ')
    [[ $free -ge $1 ]] || fail "the build needs $1 MB of disk space in $(realpath "$2"), and $free MB are free; free some or clone elsewhere"
}

# Runs a build command; shows one line of progress on a terminal, and the whole output only when it fails.
quiet_build() {
    local log line
    mkdir -p .build
    log=.build/relaygate-build.log
    if [[ -t 2 ]]; then
        if "$@" 2>&1 | tee "$log" | while IFS= read -r line; do
            printf '\r\033[K%.*s' "$((${COLUMNS:-80} - 1))" "$line" >&2
        done; then
            printf '\r\033[K' >&2
            return 0
        fi
        printf '\n' >&2
    else
        printf 'building ...\n' >&2
        if "$@" >"$log" 2>&1; then return 0; fi
    fi
    cat "$log" >&2
    fail "the build failed; the output above is in $log"
}

# Succeeds when nothing that the build reads is newer than the product: swift itself needs a second or two to say so.
is_built() {
    [[ -x $1 ]] || return 1
    [[ -z $(find Package.swift Sources migrations -newer "$1" -print -quit 2>/dev/null) ]]
}
