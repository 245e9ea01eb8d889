#!/bin/sh
# Prints the Python to set up with: $PYTHON where it is given, else the first of python3.12, python3.11 and python3
# that is 3.11 or 3.12 and can make virtual environments. Each is run to find out, because a version manager's
# shim exists for versions that it refuses to start.

probe='
import sys
print("%d.%d.%d" % sys.version_info[:3])
if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    sys.exit(3)
import ensurepip, venv
'
wrong=""
without_venv=""
for python in ${PYTHON:-python3.12 python3.11 python3}; do
    version=$("$python" -c "$probe" 2>/dev/null)
    status=$?
    if [ "$status" -eq 0 ]; then
        command -v "$python"
        exit 0
    elif [ -z "$version" ]; then
        continue
    elif [ "$status" -eq 3 ]; then
        wrong="$wrong${wrong:+, }$python is $version"
    else
        without_venv=${without_venv:-$python}
    fi
done

if [ -n "$without_venv" ]; then
    echo "setup: $without_venv cannot make virtual environments; install its venv package (Debian, Ubuntu: apt install" \
        "$(basename "$without_venv")-venv) or name another Python: make setup PYTHON=/path/to/python3.12" >&2
else
    echo "setup: Python 3.11 or 3.12 is needed (${wrong:-none starts here}); install one," \
        "or name it: make setup PYTHON=/path/to/python3.12" >&2
fi
exit 1
