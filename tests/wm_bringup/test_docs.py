"""The pages that are made from code say what the code says, and the others name what exists."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_docs", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_agree_with_the_code(generate) -> None:
    for path, text in generate.documents().items():
        assert path.read_text() == text, f"{path.name} is out of date: run python docs/generate.py"


def test_every_field_of_every_message_is_explained(generate) -> None:
    for source in [*(ROOT / "wm_msgs").glob("msg/*.msg")]:
        for _, name, comment in generate.fields_of(source.read_text()):
            assert comment, f"{source.name}: {name} says neither unit nor range"


def test_the_tables_hold_every_field_and_every_parameter(generate) -> None:
    messages, parameters = generate.messages(), generate.parameters()
    for source in (ROOT / "wm_msgs").glob("msg/*.msg"):
        assert f"### wm_msgs/msg/{source.stem}" in messages
    for source in ROOT.glob("[wl]*/wm_*/*_node.py"):
        for call in re.findall(r"\bdeclare\(\s*\"(\w+)\"", source.read_text()):
            assert f"| `{call}` |" in parameters, f"{source.name}: {call}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_pages_are_commands(page: Path) -> None:
    from wm_bringup.cli import COMMANDS

    for name in re.findall(r"^\s*wm (\w+)", page.read_text(), re.MULTILINE):
        assert name in COMMANDS, f"{page.name}: wm {name}"
