"""The planner's settings under the names that they have as parameters of planner_node, and what they make together."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from wm_planner.braking_tail import BrakingConfig
from wm_planner.errors import PlannerError
from wm_planner.objective import ObjectiveConfig
from wm_planner.planner import PlannerConfig
from wm_planner.settings import Setting, settings_of
from wm_planner.solvers import SOLVERS, solver_config

SEARCHES = {"full": (256, 128, 64), "half": (128, 64, 64)}  # candidates of each iteration

WEIGHTS: tuple[Setting, ...] = (
    *settings_of(ObjectiveConfig, "objective"),
    *settings_of(BrakingConfig, "braking"),
    *settings_of(PlannerConfig),
    *(item for name, kind in SOLVERS.items() for item in settings_of(kind.config, name)),
)
CHOICES: tuple[Setting, ...] = (
    Setting("solver", "icem", "How action sequences are searched; policy does not search.", None, tuple(SOLVERS)),
    Setting("search", "full", "Candidates: full is 256, 128, 64 in turn; half is 128, 64, 64.", None, tuple(SEARCHES)),
    Setting(
        "braking_tail",
        False,
        "Accept only plans out of which the model sees a safe stop; one chunk of work more.",
        None,
        None,
    ),
)
SETTINGS = (*CHOICES, *WEIGHTS)
_BY_NAME = {item.name: item for item in SETTINGS}


def planner_config(values: Mapping[str, Any]) -> PlannerConfig:
    """Settings of a planner from values by parameter name; what is not given keeps its default.

    Raises PlannerError for a value that does not fit, by itself or beside the others.
    """
    chosen = {item.name: values.get(item.name, item.default) for item in CHOICES}
    for item in CHOICES:
        objection = item.objection(chosen[item.name])
        if objection is not None:
            raise PlannerError(f"planner {item.name}: {objection}.")
    solver, braking = chosen["solver"], BrakingConfig(**_group(values, "braking"))
    return PlannerConfig(
        solver=solver,
        search=solver_config(solver, SEARCHES[chosen["search"]], **_group(values, solver)),
        objective=ObjectiveConfig(**_group(values, "objective")),
        braking=braking if chosen["braking_tail"] else None,
        **{item.name: values[item.name] for item in settings_of(PlannerConfig) if item.name in values},
    )


def parse_settings(words: Iterable[str]) -> dict[str, Any]:
    """Values by parameter name from words like `objective.policy_weight=2` or `solver=mppi`."""
    values = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in _BY_NAME:
            near = get_close_matches(name, _BY_NAME, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/parameters.md lists planner_node's."
            raise PlannerError(f"planner setting {name!r} is unknown; {hint}")
        values[name] = _typed(_BY_NAME[name], text)
    return values


def _typed(item: Setting, text: str) -> Any:
    kind = type(item.default)
    try:
        value = {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        value = text
    objection = item.objection(value)
    if objection is not None:
        raise PlannerError(f"planner setting {item.name}: {objection}.")
    return value


def _group(values: Mapping[str, Any], group: str) -> dict[str, Any]:
    names = [item.name for item in WEIGHTS if item.name.startswith(f"{group}.")]
    return {name.partition(".")[2]: values[name] for name in names if name in values}
