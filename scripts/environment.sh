# Sourced by the other scripts: makes a virtual environment with this project in it.

# make_environment FOLDER EXTRA: installs the project, editable, with one extra; does nothing
# when pyproject.toml is what it was.
make_environment() {
    local folder=$1 extra=$2 python stamp
    python=${PYTHON:-python3}
    if ! command -v "$python" >/dev/null; then
        echo "error: $python is not here. Install Python 3.11 or newer, or set PYTHON to it." >&2
        exit 4
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "error: $("$python" --version) is too old. Set PYTHON to a Python 3.11 or newer." >&2
        exit 4
    fi
    stamp="$extra $(cksum <pyproject.toml) $("$python" --version)"
    if [ "$(cat "$folder/.dkit-stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    echo "== environment: $folder with darknet-kit[$extra] (a few minutes, once)"
    if ! "$python" -m venv --clear "$folder"; then
        echo "error: cannot make a virtual environment. On Debian: apt-get install python3-venv" >&2
        exit 4
    fi
    if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"; then
        echo "error: pip could not install the dependencies; its message is above." >&2
        exit 4
    fi
    echo "$stamp" >"$folder/.dkit-stamp"
}
