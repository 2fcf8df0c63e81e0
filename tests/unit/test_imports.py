"""The directions of imports: they go along the arrows of the picture in ARCHITECTURE.md, and there are no others."""

import ast
from collections.abc import Iterator
from pathlib import Path

import likewise

PACKAGE = Path(likewise.__file__).parent

DRIVERS = {"apsw": "store/sqlite/", "rocksdict": "store/rocksdb/", "granian": "http/", "typer": "cli", "rich": "cli"}
"""Where each of them may be imported; nowhere else."""

LOOKS_INTO_TIERS = {"doctor.py", "cli/measure.py"}
"""Beside `store/` itself, and each with its reason in ARCHITECTURE.md."""

LOOKS_AT_A_DRIVER = {
    ("doctor.py", "apsw"),  # says which SQLite this is
    ("cli/measure.py", "apsw"),  # measures the bare disk, to hold the store against it
}

BOTTOM = {"model.py", "errors.py", "times.py", "fold.py"}
"""The vocabulary: knows nothing above itself."""

ARROWS = {
    "__init__": {"http", "likes", "trending"},  # what the library offers; http only when asked for
    "__main__": {"cli"},
    "batching": set[str](),
    "cli": {"client", "doctor", "http", "likes", "logs", "settings", "store", "transfer"},
    "client": {"transfer"},  # what a server answers to a backup
    "counts_cache": set[str](),
    "doctor": {"settings", "store"},
    "http": {"likes", "logs", "measures", "settings", "store", "transfer", "trending"},
    "likes": {"batching", "counts_cache", "measures", "store", "trending", "upkeep"},
    "logs": set[str](),
    "measures": set[str](),
    "settings": {"store"},  # what a URL says
    "store": set[str](),
    "sync": {"likes", "trending"},
    "transfer": {"store"},
    "trending": set[str](),
    "upkeep": set[str](),
}
"""What each part imports of the others, beside the vocabulary."""

OF_STORE = {
    "cli": {"contract", "open_store", "url"},
    "doctor": {"extra", "owner", "url"},
    "http": {"contract", "link", "open_reader"},
    "likes": {"contract", "open_store"},
    "settings": {"url"},
    "transfer": {"contract", "disk", "open_store", "url", "waiting"},
}
"""What each part takes of `store`, beside what looks into tiers."""

TIERS = {"memory", "sqlite", "rocksdb"}

SHARED_BY_TIERS = {"contract", "disk", "link", "owner", "waiting", "writer_thread"}

STORE_MAY = {"errors", "fold", "model", "times", "store"}
"""What a tier may import of likewise."""


def modules() -> Iterator[tuple[str, set[str]]]:
    """Each module's path in the package, and everything it imports: absolute names, at any depth of the code."""
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        package = ["likewise", *relative.parts[:-1]]
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*base, *([node.module] if node.module else [])])
                # `from . import likes` names a module, `from .likes import Likes` something in one
                names |= {f"{module}.{alias.name}" for alias in node.names}
        yield relative.as_posix(), names


def ours(names: set[str]) -> set[str]:
    """The first part below `likewise` of what is imported of it."""
    return {name.split(".")[1] for name in names if name.startswith("likewise.")} - {"__version__"}


def of_store(names: set[str]) -> set[str]:
    """The same below `likewise.store`."""
    return {name.split(".")[2] for name in names if name.startswith("likewise.store.")}


def part(module: str) -> str:
    """What a module is a part of: its folder in the package, or itself."""
    return module.split("/")[0].removesuffix(".py")


IMPORTS = dict(modules())


def test_the_modules_were_found() -> None:
    assert {"likes.py", "store/contract.py", "store/sqlite/__init__.py"} <= IMPORTS.keys()
    assert "contract" in {name.split(".")[-2] for name in IMPORTS["store/memory.py"]}


def test_imports_go_along_the_arrows() -> None:
    vocabulary = {name.removesuffix(".py") for name in BOTTOM}
    found: dict[str, set[str]] = {}
    for module, names in IMPORTS.items():
        if module not in BOTTOM:
            found.setdefault(part(module), set()).update(ours(names) - vocabulary - {part(module)})
    assert found == ARROWS


def test_arrows_lead_back_nowhere() -> None:
    arrows = {name: set(others) for name, others in ARROWS.items()}
    while ends := {name for name, others in arrows.items() if not others}:
        arrows = {name: others - ends for name, others in arrows.items() if name not in ends}
    assert not arrows


def test_little_is_taken_of_the_store_itself() -> None:
    found: dict[str, set[str]] = {}
    for module, names in IMPORTS.items():
        if part(module) != "store" and (taken := of_store(names) - TIERS):
            found.setdefault(part(module), set()).update(taken)
    assert found == OF_STORE


def test_drivers_are_imported_only_where_they_belong() -> None:
    wrong = [
        (module, driver)
        for module, names in IMPORTS.items()
        for driver, home in DRIVERS.items()
        if any(name.split(".")[0] == driver for name in names) and not module.startswith(home)
    ]
    assert set(wrong) <= LOOKS_AT_A_DRIVER


def test_a_tier_knows_nothing_above_the_contract() -> None:
    for module, names in IMPORTS.items():
        if module.startswith("store/"):
            assert ours(names) <= STORE_MAY, module


def test_no_tier_knows_another() -> None:
    for module, names in IMPORTS.items():
        folder = module.split("/")
        if folder[0] == "store" and len(folder) > 2:
            assert of_store(names) <= SHARED_BY_TIERS | {folder[1]}, module


def test_the_rules_know_no_http_and_no_command_line() -> None:
    for module in ("likes.py", "batching.py", "counts_cache.py", "trending.py", "upkeep.py", "sync.py", "measures.py"):
        assert not ours(IMPORTS[module]) & {"http", "cli", "settings", "client", "transfer"}, module


def test_the_vocabulary_knows_nothing_above_itself() -> None:
    for module in BOTTOM:
        assert {f"{name}.py" for name in ours(IMPORTS[module])} <= BOTTOM, module
    assert ours(IMPORTS["errors.py"]) == ours(IMPORTS["times.py"]) == set()


def test_only_store_itself_names_the_tiers() -> None:
    for module, names in IMPORTS.items():
        if part(module) != "store" and module not in LOOKS_INTO_TIERS:
            assert not of_store(names) & TIERS, module
