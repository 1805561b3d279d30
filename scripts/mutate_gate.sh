#!/bin/sh
# sh scripts/mutate_gate.sh [FOLDER]: changes the safety gate in small ways, one at a time, and counts which changes its
# tests notice. Needs requirements-dev.txt. Works on a copy in FOLDER (default: a new temporary one), which stays there.
set -eu
root="$(cd "$(dirname "$0")/.." && pwd)"
work="${1:-$(mktemp -d)}"
rm -rf "$work/mutants"
mkdir -p "$work/wm_planner" "$work/tests/wm_planner" "$work/launch/params" "$work/wm_msgs"
cp -r "$root"/wm_planner/wm_planner/. "$work/wm_planner/"
cp "$root"/tests/wm_planner/conftest.py "$work/tests/wm_planner/"
for name in gate_corridor gate_crossing gate_decide gate_judge gate_path gate_route gate_shape gate_sightings gate_target limits; do
    cp "$root/tests/wm_planner/test_$name.py" "$work/tests/wm_planner/"
done
cp "$root"/launch/params/limits.yaml "$work/launch/params/"
cp -r "$root"/wm_msgs/msg "$work/wm_msgs/"
cat > "$work/pyproject.toml" <<'END'
[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = "--import-mode=importlib -q -x -p no:cacheprovider"

[tool.mutmut]
source_paths = ["wm_planner/safety"]
pytest_add_cli_args_test_selection = ["tests/wm_planner"]
also_copy = ["wm_planner", "launch", "wm_msgs", "tests"]
END
cd "$work"
echo "copy in $work"
export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1  # starts a tenth of a second sooner, 1600 times
nice -n 10 mutmut run --max-children 1
mutmut results
