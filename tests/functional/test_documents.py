"""What the documents say of the tests."""

import re

import pytest

from rig.program import ROOT

FUNCTIONAL, UNIT = ROOT / "tests" / "functional", ROOT / "tests" / "unit"
# As pytest names one, test_x.py::test_y, with or without parameters; or x_test.cc::Suite.Name.
NAMED = re.compile(r"\b(\w+\.(?:py|cc))::(\w+)(?:\.(\w+))?")
# Those that rest on tests altogether.
BY_TESTS = {"failure-modes.md", "recovery-guarantees.md", "threat-model.md"}


def exists(file, name, case):
    if file.endswith(".py"):
        found, definition = [FUNCTIONAL / file], rf"^def {name}\("
    else:
        found, definition = UNIT.rglob(file), rf"^TEST(_[FP])?\({name}, {case}\)"
    return any(path.is_file() and re.search(definition, path.read_text("utf-8"), re.MULTILINE)
               for path in found)


@pytest.mark.parametrize("document", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_tests_that_are_named_exist(document):
    """A document that rests on a test must not outlive it."""
    named = NAMED.findall((ROOT / "docs" / document).read_text("utf-8"))
    assert named or document not in BY_TESTS
    missing = [each for each in named if not exists(*each)]
    assert not missing, f"docs/{document} names tests that there are not: {missing}"
