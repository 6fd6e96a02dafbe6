"""Imports point inward, modules stay small, and what is banned is not there: read from the source itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = sorted([*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")])
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
LEAVES = {"shared.model", "shared.errors"}
# Who may import which parts of ours. `shared.ports` in core is for types only, as everywhere.
ALLOWED = {
    "shared/core": LEAVES | {"shared.core", "shared.ports"},
    "shared/service": LEAVES | {"shared.core", "shared.ports", "shared.log", "shared.config", "shared.service"},
    "shared/adapters": LEAVES | {"shared.core", "shared.ports", "shared.log", "shared.adapters"},
    "shared/puller": LEAVES | {"shared.core", "shared.ports", "shared.log", "shared.config", "shared.puller"},
    "shared/cli": LEAVES
    | {"shared.core", "shared.ports", "shared.config", "shared.log", "shared.service", "shared.adapters", "shared.cli"},
    "shared/dashboard": LEAVES | {"shared.core", "shared.service", "shared.dashboard"},
    "functions": LEAVES
    | {"shared.core", "shared.config", "shared.log", "shared.service", "functions"}
    | {"shared.web", "shared.wiring", "shared.admission", "shared.answers"}
    | {"shared.calls", "shared.reading", "shared.rotating", "shared.diagnose", "shared.held", "shared.pages"}
    | {"shared.starting"},
}
HEAVY = {
    "dulwich",
    "google",
    "neo4j",
    "yaml",
    "flask",
    "werkzeug",
    "urllib3",
    "gunicorn",
    "functions_framework",
    "apprise",
    "jwt",
    "jinja2",
    "markupsafe",
}
# What of others may be imported outside the standard library, where everything else would be a mistake.
FOREIGN = {
    "shared/core": {"yaml", "cryptography"},
    "shared/service": set(),
    "shared/puller": {"httpx"},
    "shared/cli": {"httpx", "rich"},
    "shared/dashboard": {"jinja2", "markupsafe"},
    "functions": {"flask", "functions_framework"},
}
IMPURE = {
    "os",
    "time",
    "random",
    "socket",
    "subprocess",
    "threading",
    "shutil",
    "tempfile",
    "pathlib",
    "secrets",
    "uuid",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> list[tuple[str, ast.stmt]]:
    """Every imported module's full name, with the statement."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{node.module}.{alias.name}", node) for alias in node.names]
    return found


def type_only(tree: ast.Module) -> set[ast.stmt]:
    """The import statements that only a type checker runs."""
    guards = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {item for guard in guards for item in ast.walk(guard) if isinstance(item, ast.stmt)}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_imports_point_inward(path: Path) -> None:
    part = next((part for part in ALLOWED if name(path).startswith(f"{part}/")), None)
    ours = [module for module, _ in imports(parsed(path)) if module.split(".")[0] in {"shared", "functions"}]
    if part is None:
        assert not [module for module in ours if module.startswith("functions")]
        return
    allowed = {module for module in ALLOWED[part] if module != "shared"}
    outward = [module for module in ours if not any(f"{module}.".startswith(f"{known}.") for known in allowed)]
    assert outward == []


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_each_part_uses_only_the_foreign_packages_that_it_may(path: Path) -> None:
    part = next((part for part in FOREIGN if name(path).startswith(f"{part}/")), None)
    tops = {module.split(".")[0] for module, _ in imports(parsed(path))} - {"shared", "functions"}
    assert part is None or tops - sys.stdlib_module_names <= FOREIGN[part]


def test_the_rules_are_not_walked_around_by_imports_at_run_time() -> None:
    dynamic = {"__import__", "import_module", "importlib.import_module", "exec", "eval"}
    found = {
        name(path): calls & dynamic
        for path in PRODUCT
        if (calls := {ast.unparse(node.func) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)})
        & dynamic
    }
    assert found == {}


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_no_import_is_relative(path: Path) -> None:
    assert not [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("path", [path for path in PRODUCT if "shared/core/" in name(path)], ids=name)
def test_core_has_no_io_no_clock_and_no_environment(path: Path) -> None:
    tree = parsed(path)
    assert not [module for module, _ in imports(tree) if module.split(".")[0] in IMPURE]
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"open", "input", "print", "datetime.now", "datetime.utcnow", "datetime.today", "exec", "eval"}


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_only_config_reads_the_environment(path: Path) -> None:
    reads = [node for node in ast.walk(parsed(path)) if ast.unparse(node) in {"os.environ", "os.getenv"}]
    # The local run hands its own environment on to its children; it takes no setting from it.
    assert not reads or name(path) in {"shared/config.py", "shared/cli/local.py"}


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_heavy_clients_are_imported_where_they_are_used_and_nowhere_else(path: Path) -> None:
    if "shared/adapters/" in name(path):
        return
    tree = parsed(path)
    special = {
        "functions/main.py": {"flask"},  # the framework, which loads it, has flask already
        "shared/web.py": {"flask"},
        "shared/dashboard/render.py": {"jinja2", "markupsafe"},
    }
    allowed = {"yaml"} if "shared/core/" in name(path) else special.get(name(path), set())
    for module, statement in imports(tree):
        top = module.split(".")[0]
        assert top not in HEAVY or top in allowed or statement in type_only(tree), module


def test_wiring_alone_builds_adapters() -> None:
    builders = [
        name(path)
        for path in PRODUCT
        if any(module.startswith("shared.adapters") for module, _ in imports(parsed(path)))
        and not name(path).startswith(("shared/adapters/", "shared/cli/"))
    ]
    assert builders == ["shared/wiring.py", "shared/wiring_github.py", "shared/wiring_graph.py"]


def test_the_puller_loads_nothing_heavy() -> None:
    modules = [
        f"shared.puller.{path.stem}" for path in (ROOT / "shared" / "puller").glob("*.py") if path.stem[0] != "_"
    ]
    assert len(modules) > 5
    script = f"import sys; old = set(sys.modules); import {', '.join(modules)}, shared.puller.__main__; "
    script += "print(*set(sys.modules) - old)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stdout.split()}
    assert not loaded & HEAVY
    assert not [module for module in done.stdout.split() if module.startswith(("shared.service", "shared.adapters"))]


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_MODULE_LINES
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = len((ast.get_docstring(node) or "").splitlines())
            assert (node.end_lineno or 0) - node.lineno + 1 - documented <= MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_modules_are_named_for_one_idea(path: Path) -> None:
    assert not re.search(r"util|helper|common|manager|handler|(^|_)base(_|$)|misc", path.stem)


def test_what_is_banned_is_not_there() -> None:
    banned = re.compile(
        r"extractall\(|yaml\.(safe_)?load\(|\bTODO\b|\bFIXME\b|except:\s*$|Magic" + "Mock", re.MULTILINE
    )
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    found = {name(path): banned.findall(path.read_text(encoding="utf-8")) for path in (*PRODUCT, *tests)}
    assert not {path: hits for path, hits in found.items() if hits}


def test_every_ignored_lint_rule_has_its_reason_beside_it() -> None:
    section = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.ruff.lint]")[2]
    rules = [line for line in section.splitlines() if re.match(r'\s+"[A-Z]+[0-9]*",', line)]
    assert rules
    assert not [line for line in rules if "#" not in line]
