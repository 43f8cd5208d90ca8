"""What the documents say of the tests."""

import re

import pytest

from rig.program import ROOT

TESTS = ROOT / "tests" / "functional"
# As pytest names one: test_x.py::test_y, with or without parameters.
NAMED = re.compile(r"\b(test_\w+\.py)::(\w+)")


@pytest.mark.parametrize("document", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_tests_that_are_named_exist(document):
    """A document that rests on a test must not outlive it."""
    missing = [f"{file}::{test}"
               for file, test in NAMED.findall((ROOT / "docs" / document).read_text("utf-8"))
               if not (TESTS / file).is_file()
               or not re.search(rf"^def {test}\(", (TESTS / file).read_text("utf-8"), re.MULTILINE)]
    assert not missing, f"docs/{document} names tests that there are not: {missing}"
