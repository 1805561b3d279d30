#!/bin/sh
# Finds a fitting Python and hands over to workspace.py. PYTHON=/path/to/python3 chooses another.
cd "$(dirname "$0")/.." || exit 1
chosen="${PYTHON:-}"
if [ -z "$chosen" ]; then
    for candidate in python3 python3.12 python3.13 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            chosen="$candidate"
            break
        fi
    done
fi
chosen="${chosen:-python3}"
if ! command -v "$chosen" >/dev/null 2>&1; then
    echo "Python was not found ($chosen); install Python 3.10 to 3.13 (Debian, Ubuntu: apt install python3 python3-venv python3-dev) or set PYTHON=/path/to/python3." >&2
    exit 1
fi
exec "$chosen" scripts/workspace.py "$@"
