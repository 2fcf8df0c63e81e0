"""What some tests need of the machine. Where it is missing they are skipped, and in CI (`CI=true`) they fail: there it
is a mistake in the setup, and a test that never runs proves nothing."""

import os
import shutil
from typing import NoReturn

import pytest


def needs(program: str) -> str:
    """The path of a program."""
    return shutil.which(program) or missing(f"{program} is not installed")


def missing(what: str) -> NoReturn:
    """Skip this test, or fail it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must have it")
    pytest.skip(what)
