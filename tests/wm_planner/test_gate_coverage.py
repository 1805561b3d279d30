"""No line and no branch of the safety gate is untested, without counting what random inputs happen to reach."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = (
    "gate_corridor",
    "gate_crossing",
    "gate_decide",
    "gate_judge",
    "gate_path",
    "gate_route",
    "gate_route_keeping",
    "gate_shape",
    "gate_sightings",
    "gate_target",
    "limits",
)


def test_every_line_and_branch_of_the_gate_is_tested(tmp_path):
    environment = os.environ | {
        "COVERAGE_FILE": str(tmp_path / "coverage"),
        "WM_TEST_DOMAIN_ID": os.environ["ROS_DOMAIN_ID"],  # this test's own: nothing below uses it
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    files = [f"tests/wm_planner/test_{name}.py" for name in TESTS]
    safety = ROOT / "wm_planner/wm_planner/safety"
    run("coverage", "run", "--branch", f"--include={safety}/*", "-m", "pytest", *files)
    told = run("coverage", "report", "--show-missing", "--fail-under=100")
    assert all(path.name in told for path in safety.glob("*.py"))
