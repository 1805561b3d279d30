"""Writes the parts of the documentation that the code already states, so that the two cannot disagree.

python docs/generate.py            write messages.md, parameters.md and the measured tables of README.md and safety.md
python docs/generate.py --check    exit 1 if one of them is out of date
python docs/generate.py --measured a.json b.json
                                   put the figures of `wm eval --json` into models/default/metrics.json first
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
METRICS = ROOT / "models" / "default" / "metrics.json"
ADVERSARY = ROOT / "benchmarks" / "adversary.json"
NOTE = "<!-- Written by docs/generate.py from the code; edit there. -->"
COMMON = ("header", "seq", "source_stamp")  # of every message of ours
BASE_NODE = ROOT / "wm_ros" / "wm_ros" / "node.py"

PACKAGES = ("wm_ros", "wm_sim", "wm_perception", "wm_dynamics", "wm_planner", "wm_training", "launch")
sys.path[:0] = [str(ROOT / name) for name in PACKAGES]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--measured", nargs="+", type=Path, default=[], metavar="JSON")
    options = parser.parse_args()
    if options.measured:
        keep_measured(options.measured)
    stale = [path for path, text in documents().items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        print(
            f"{path.relative_to(ROOT)} {'is out of date: run python docs/generate.py' if options.check else 'written'}"
        )
        if not options.check:
            path.write_text(documents()[path])
    return 1 if options.check and stale else 0


def documents() -> dict[Path, str]:
    """Every generated file with its text."""
    readme = (ROOT / "README.md").read_text()
    return {
        DOCS / "messages.md": messages(),
        DOCS / "parameters.md": parameters(),
        ROOT / "README.md": between(readme, "measured", measured()),
        DOCS / "safety.md": between((DOCS / "safety.md").read_text(), "adversary", adversaries()),
    }


def between(text: str, name: str, content: str) -> str:
    """`text` with the lines between the markers of block `name` replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"block {name}: the markers {begin} and {end} must stand in its page once each.")
    head, rest = text.split(begin)
    return f"{head}{begin}\n{content}\n{end}{rest.split(end)[1]}"


# Topics and messages.


def messages() -> str:
    from wm_ros.topic_table import ADVICE, TOPICS

    lines = [
        "# Topics, messages and services",
        "",
        NOTE,
        "",
        "Names are relative unless they begin with a slash. Units are SI; axes follow REP-103, frames REP-105.",
        "",
        "## Topics",
        "",
        "| topic | type | Hz | quality of service | in the bag |",
        "|---|---|---|---|---|",
    ]
    for topic in TOPICS:
        qos = topic.qos
        words = [f"{'reliable' if qos.reliable else 'best effort'}, keep {qos.depth}"]
        words += ["transient local"] if qos.latched else []
        words += [f"deadline {qos.deadline_ms} ms"] if qos.deadline_ms else []
        words += [f"liveliness {qos.liveliness_ms} ms"] if qos.liveliness_ms else []
        rate = "on event" if topic.rate_hz is None else f"{topic.rate_hz:g}"
        kept = "yes" if topic.recorded else "no"
        lines.append(f"| `{topic.name}` | {topic.type} | {rate} | {', '.join(words)} | {kept} |")
    lines += [
        "",
        f"Bags of `wm collect` also hold `{ADVICE.name}` ({ADVICE.type}, {ADVICE.rate_hz:g} Hz): "
        "what the expert would have done.",
    ]
    lines += ["", "## Messages", "", "Every message of wm_msgs begins with these fields:", ""]
    sources = sorted((ROOT / "wm_msgs" / "msg").glob("*.msg"))
    first = [field for field in fields_of(sources[0].read_text()) if field[1] in COMMON]
    lines += [*field_table(first), ""]
    for source in sources:
        lines += [*interface(source.stem, source.read_text()), ""]
    lines += ["## Services", ""]
    for source in sorted((ROOT / "wm_msgs" / "srv").glob("*.srv")):
        request, _, response = source.read_text().partition("\n---\n")
        lines += [f"### wm_msgs/srv/{source.stem}", "", *said(request), "Request:", ""]
        lines += [*field_table(fields_of(request)), "", "Response:", "", *field_table(fields_of(response)), ""]
    return "\n".join(lines).rstrip() + "\n"


def interface(name: str, text: str) -> list[str]:
    """One message: its first comment, its constants, its own fields."""
    lines = [f"### wm_msgs/msg/{name}", "", *said(text)]
    fields = [field for field in fields_of(text) if field[1] not in COMMON]
    constants = re.findall(r"^\s*\w+\s+([A-Z][A-Z0-9_]*)\s*=\s*(\d+)\s*(?:#\s*(.*))?$", text, re.MULTILINE)
    if constants:
        lines += ["| constant | value | meaning |", "|---|---|---|"]
        lines += [f"| `{key}` | {value} | {meaning.strip()} |" for key, value, meaning in constants] + [""]
    return lines + field_table(fields)


def said(text: str) -> list[str]:
    """The comment at the top of an interface file."""
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    return [first.lstrip("# ").strip(), ""] if first.startswith("#") else []


def fields_of(text: str) -> list[tuple[str, str, str]]:
    """(type, name, comment) of every field."""
    found = re.findall(r"^\s*([\w/]+(?:\[\d*\])?)\s+([a-z]\w*)\s*(?:#\s*(.*))?$", text, re.MULTILINE)
    return [(kind, name, comment.strip()) for kind, name, comment in found]


def field_table(fields: list[tuple[str, str, str]]) -> list[str]:
    if not fields:
        return ["(no fields)"]
    rows = [f"| `{name}` | {kind} | {comment} |" for kind, name, comment in fields]
    return ["| field | type | meaning, unit, range |", "|---|---|---|", *rows]


# Parameters.


def parameters() -> str:
    lines = [
        "# Parameters of the nodes",
        "",
        NOTE,
        "",
        "A node refuses a value that does not fit at start, with one sentence. `launch/params/stack.yaml` holds the",
        "values that the stack starts with; the defaults below are those of the code.",
        "",
        "## Every node",
        "",
        "| parameter | default | range | meaning |",
        "|---|---|---|---|",
        "| `use_sim_time` | `True` | | Take time from `/clock`. |",
        *rows_of(BASE_NODE),
        "",
    ]
    for source in sorted(node for package in PACKAGES for node in (ROOT / package).glob("wm_*/*_node.py")):
        rows = rows_of(source)
        lines += [f"## {source.stem} ({source.parent.name})", ""]
        if rows:
            lines += ["| parameter | default | range | meaning |", "|---|---|---|---|", *rows, ""]
        else:
            lines += ["None of its own.", ""]
    return "\n".join(lines).rstrip() + "\n"


def rows_of(source: Path) -> list[str]:
    """One table row for each `self.declare(...)` of a module."""
    tree = ast.parse(source.read_text())
    names = Names(tree)
    rows = []
    for call, loop in declarations(tree):
        for item in [None] if loop is None else names.value_of(loop.iter) or ():
            if loop is not None:
                names[ast.unparse(loop.target)] = item
            row = row_of(call, names)
            rows += [] if row is None else [row]
    return rows


def declarations(tree: ast.AST) -> Iterator[tuple[ast.Call, ast.For | None]]:
    """Calls of `.declare`, in the order of the file, each with the loop over a table that it stands in."""
    loops = {id(inner): node for node in ast.walk(tree) if isinstance(node, ast.For) for inner in ast.walk(node)}
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("self.declare", "declare")
    ]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        yield call, loops.get(id(call))


class Names(dict[str, Any]):
    """What a module's expressions may name: its own constants, and what it imports from modules free of ROS."""

    def __init__(self, tree: ast.Module) -> None:
        super().__init__()
        self._sources: dict[str, str] = {}
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                self._sources |= {alias.asname or alias.name: f"{node.module}:{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                value = self.value_of(node.value)
                if value is not None:
                    self[node.targets[0].id] = value

    def __missing__(self, name: str) -> Any:
        module, _, attribute = self._sources[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def value_of(self, node: ast.expr | None) -> Any:
        """The value of an expression, None if it cannot be known without running the node."""
        if node is None:
            return None
        try:
            return eval(compile(ast.Expression(node), "<parameter>", "eval"), {}, self)
        except (KeyError, NameError, ImportError, AttributeError, TypeError):
            return None


def row_of(call: ast.Call, names: Names) -> str | None:
    given = dict(zip(("name", "default", "description", "range", "choices"), call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg}
    if names.value_of(given.get("name")) is None:
        return None
    default, bounds, choices = (names.value_of(given.get(key)) for key in ("default", "range", "choices"))
    allowed = ""
    if isinstance(bounds, tuple):
        allowed = f"{bounds[0]} to {bounds[1]}"
    elif isinstance(choices, tuple | list):
        allowed = ", ".join(f"`{choice}`" for choice in choices)
    elif not isinstance(default, bool) and ("range" in given or "choices" in given):
        allowed = f"`{ast.unparse(given.get('range') or given['choices'])}`"
    shown = ast.unparse(given["default"]) if default is None else str(default) or "empty"
    return f"| `{names.value_of(given['name'])}` | `{shown}` | {allowed} | {names.value_of(given['description'])} |"


# Measured figures.

COLUMNS = ("episodes", "success_rate", "success_ci95", "driving_score", "at_fault_collisions", "off_road", "red_lights")


def keep_measured(reports: list[Path]) -> None:
    """Put evaluation reports into the model's metrics.json, each under its agent and suite."""
    metrics = json.loads(METRICS.read_text())
    kept = metrics.setdefault("closed_loop", {})
    for path in reports:
        report = json.loads(path.read_text())
        name = f"{report['agent'].split(':')[0]} {report['suite']}"
        row = {key: value for key, value in report.items() if key not in ("episode_list", "families")}
        if report["agent"].startswith("model"):
            families = {k: v for k, v in report["families"].items() if v["episodes"]}
            row["families"] = {k: {key: v[key] for key in COLUMNS} for k, v in families.items()}
        kept[name + (" without camera" if report.get("blackout") == "camera" else "")] = row
    partial = METRICS.with_suffix(".partial")
    partial.write_text(json.dumps(metrics, indent=1) + "\n")
    partial.replace(METRICS)


def measured() -> str:
    """The table of README.md: every report kept, the model's by family too."""
    kept: dict[str, Any] = json.loads(METRICS.read_text()).get("closed_loop", {}) if METRICS.is_file() else {}
    if not kept:
        return "Not measured yet: run the commands above, then `python docs/generate.py --measured FILE...`."
    lines = [
        "| agent, suite | drives | success (95 % interval) | score | at-fault crashes | off road | red lights |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in kept.items():
        lines.append(measured_row(name, row))
        families = row.get("families", {})
        lines += [measured_row(f"{name.split()[0]} {family}", families[family]) for family in families]
    return "\n".join(lines)


def adversaries() -> str:
    """The table of planners that ask for the worst, out of what `wm bench adversary` kept."""
    result = json.loads(ADVERSARY.read_text())
    found = {(row["adversary"], row["gate"]): row for row in result["rows"]}
    lines = [
        "| asks for the worst | drives | hits with the gate | fastest | hits without | fastest |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["adversary"] for row in result["rows"]):
        cells = [
            f"{row['obstacle_hits']} | {row['worst_impact_mps']:.1f} m/s"
            for row in (found[name, True], found[name, False])
        ]
        lines.append(f"| {name} | {found[name, True]['episodes']} | {' | '.join(cells)} |")
    nominal = result["nominal"]
    figures = "; ".join(f"{it['name']} {it['value']:g} (at most {it['wanted']:g})" for it in nominal["figures"])
    often = f"{nominal['brakings_per_100_km']:g} times per 100 km, {nominal['slowed_per_100_km']:g}"
    lines += [
        "",
        f"The {nominal['driver']} over {nominal['km']:g} km in {nominal['drives']} drives with the gate, "
        f"{nominal['successes']} of which arrived: {figures}.",
        f"The gate braked {often} of them for more than 2 m/s.",
    ]
    return "\n".join(lines)


def measured_row(name: str, row: dict[str, Any]) -> str:
    """One line of that table."""
    low, high = row["success_ci95"]
    return (
        f"| {name} | {row['episodes']} | {row['success_rate']:.2f} ({low:.2f} to {high:.2f}) "
        f"| {row['driving_score']:.1f} | {row['at_fault_collisions']} | {row['off_road']} | {row['red_lights']} |"
    )


if __name__ == "__main__":
    sys.exit(main())
