#!/usr/bin/env bash
# Set-up: the system packages, then .venv. Does what is missing, and says nothing when nothing is.
#
#   tools/setup.sh runtime    what `make demo` needs
#   tools/setup.sh venv       the same, and the Python tools of the gates
#   tools/setup.sh tests      the same, and the strangers' programs that judge us
#
# As root on Debian or Ubuntu it installs missing packages; as anybody else it names them and stops.
# PYTHON=/path/to/python chooses the interpreter of a new .venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

goal=${1:-}
[[ $goal =~ ^(runtime|venv|tests)$ ]] || { echo "usage: tools/setup.sh runtime|venv|tests" >&2; exit 2; }

# SoftHSM is the token without hardware; openssl is how a person looks at our output; libnss3 has the list of CAs that
# are trusted for mail. pyscard has no wheel for Linux, so it is compiled: gcc, pkg-config and the headers of PC/SC
# (those of Python are asked for further down).
runtime_packages=(softhsm2 openssl libnss3 libpcsclite-dev pkg-config gcc libc6-dev)
# Judges, and what the programs that people use with us run in when we are tested with them:
test_packages=(
    gpgsm gpg-agent                 # GnuPG's opinion of what we sign and encrypt
    gnutls-bin libnss3-tools        # GnuTLS's certtool, NSS's cmsutil and certutil
    opensc p11-kit                  # pkcs11-tool, and the registry of modules
    git                             # signs commits through us
    neomutt                         # signs, encrypts and shows mail through us, in a terminal
    bash zsh fish                   # the shells that are completed
    pinentry-curses pinentry-tty    # ask for the PIN
    pcscd vsmartcard-vpcd           # a PC/SC daemon, and readers that are none: cards come and go
    libccid                         # the CCID project's list of readers, for the table of udev
    dbus-daemon                     # buses on which a login manager and a desktop of the tests speak
    systemd udev                    # judge the units and the rules; a user manager runs them
    iproute2                        # makes the one device that can always be plugged in and taken out
    util-linux                      # unshare and setpriv: a full disk, another user
    jq                              # reads the audit log
    man-db groff-base mandoc        # show the manual pages, and warn
)

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# --- system packages -------------------------------------------------------------------------------------------------

missing_packages() {  # those of "$@" that are not installed
    local installed package
    installed=$(dpkg-query -W -f='${Status} ${Package} ${Provides}\n' | sed -n 's/^install ok installed //p')
    for package in "$@"; do
        # As a word anywhere in the line: a newer release may provide a package under another name (pkg-config).
        grep -qE "(^|[ ,])$package([ ,(]|\$)" <<<"$installed" || printf '%s\n' "$package"
    done
}

refresh_package_lists() {  # once a run, and only when something is to be installed
    [[ -z ${lists_are_fresh:-} ]] || return 0
    lists_are_fresh=yes
    apt-get update -qq || say "apt-get update failed: going on with the lists that are here"
}

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    (( ${#missing[@]} )) || return 0
    if (( EUID != 0 )); then
        fail "missing: sudo apt-get install --no-install-recommends ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    refresh_package_lists
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# --- the interpreter -------------------------------------------------------------------------------------------------

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

is_complete() {  # can make an environment with pip in it, and compile an extension
    "$1" -c '
import ensurepip, pathlib, sys, sysconfig, venv
sys.exit(not pathlib.Path(sysconfig.get_config_var("INCLUDEPY"), "Python.h").exists())' 2>/dev/null
}

candidates() {  # the system's before any shim's, the newest first
    local directory name
    for directory in /usr/bin /usr/local/bin ''; do
        for name in python3.14 python3.13 python3.12 python3.11 python3; do
            if [[ -n $directory ]]; then
                [[ ! -x $directory/$name ]] || echo "$directory/$name"
            else
                command -v "$name" || true
            fi
        done
    done
}

find_python() {  # prints a recent and complete one, or nothing
    local python
    while read -r python; do
        if is_recent "$python" && is_complete "$python"; then
            echo "$python"
            return
        fi
    done < <(candidates)
}

apt_version() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: *\([0-9].*\)/\1/p'; }

python_packages() {  # what to install to have a recent and complete one, or nothing
    local name version
    if [[ -x /usr/bin/python3 ]] && is_recent /usr/bin/python3; then
        echo python3 python3-venv python3-dev
        return
    fi
    version=$(apt_version python3)
    if [[ -z $version || $version =~ ^3\.(1[1-9]|[2-9][0-9]) ]]; then  # no version: apt has not read its lists yet
        echo python3 python3-venv python3-dev
        return
    fi
    for name in python3.14 python3.13 python3.12 python3.11; do  # Ubuntu 22.04 has 3.11 beside its 3.10
        if [[ -n $(apt_version "$name") ]]; then
            echo "$name" "$name-venv" "$name-dev"
            return
        fi
    done
}

choose_python() {  # prints the interpreter for a new .venv
    local python
    if [[ -n ${PYTHON:-} ]]; then
        python=$(command -v "$PYTHON") || fail "PYTHON=$PYTHON: there is no such program"
        is_recent "$python" || fail "PYTHON=$PYTHON is older than Python 3.11"
        is_complete "$python" || fail "PYTHON=$PYTHON lacks venv, ensurepip or the C headers"
    else
        python=$(find_python)
        [[ -n $python ]] ||
            fail "no Python 3.11 or newer with venv and C headers: install one, then make PYTHON=/path/to/it venv"
    fi
    echo "$python"
}

# --- the virtual environment -----------------------------------------------------------------------------------------

venv_is_sound() {  # made here, not copied here, and its interpreter still runs
    [[ -f .venv/.made-in && $(<.venv/.made-in) == "$PWD" ]] && .venv/bin/python -c 'import pip' 2>/dev/null
}

make_venv() {
    local python
    python=$(choose_python)
    say "making .venv with $python ($("$python" -V 2>&1))"
    rm -rf .venv
    "$python" -m venv .venv
    # pip 25.1 is the first that knows dependency groups.
    .venv/bin/pip install -qq --upgrade 'pip>=25.1'
    printf '%s\n' "$PWD" >.venv/.made-in
}

install_python_packages() {  # name of the stamp, then arguments for pip; again whenever pyproject.toml has changed
    local stamp=.venv/.installed-$1 want
    shift
    want=$(cksum <pyproject.toml)
    [[ ! -f $stamp || $(<"$stamp") != "$want" ]] || return 0
    say "installing into .venv: $*"
    .venv/bin/pip install -qq "$@"
    printf '%s\n' "$want" >"$stamp"
}

# ---------------------------------------------------------------------------------------------------------------------

packages=("${runtime_packages[@]}")
[[ $goal != tests ]] || packages+=("${test_packages[@]}")
sound=yes
venv_is_sound || sound=

if command -v apt-get >/dev/null; then
    if [[ -z $sound && -z ${PYTHON:-} && -z $(find_python) ]]; then
        (( EUID != 0 )) || refresh_package_lists
        read -ra python_wanted <<<"$(python_packages)"
        packages+=("${python_wanted[@]}")
    fi
    install_packages "${packages[@]}"
elif [[ -z $sound ]]; then
    say "not a Debian: see that you have what these packages bring: ${packages[*]}"
fi

[[ -n $sound ]] || make_venv
install_python_packages runtime --editable .
[[ $goal == runtime ]] || install_python_packages dev --group dev
