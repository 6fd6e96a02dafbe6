"""GitHub's runner on this machine, as far as our workflow needs it: it reads the YAML, and runs each step in `sh`.

Expressions are those that our files use: inputs, secrets, the job's token, outputs of steps, and comparisons of a text.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")
_COMPARED = re.compile(r"([\w.-]+) == '([^']*)'")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file by the rules of YAML 1.2, as GitHub does: `on` is a text."""
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


@dataclass(slots=True)
class Ran:
    """How a run ended."""

    status: int = 0
    printed: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    def commands(self, name: str) -> list[str]:
        """The workflow commands of this name."""
        return [line for line in self.printed.splitlines() if line.startswith(f"::{name}")]


class Runner:
    """One job on one machine.

    Args:
        folder: Where the job's own folders are made.
        environment: What GitHub sets beside `GITHUB_WORKSPACE` and the like.
        token: The job's own token.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], token: str) -> None:
        self.workspace, self.temp = folder / "workspace", folder / "temp"
        for made in (self.workspace, self.temp):
            made.mkdir(parents=True, exist_ok=True)
        self._token = token
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR") if name in os.environ}
        self._environment = {
            **kept,
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            **environment,
        }

    def workflow(self, path: Path, job: str, inputs: Mapping[str, str]) -> Ran:
        """Run a job of a reusable workflow, called with these inputs."""
        described = read_yaml(path)
        given = _with_defaults(described["on"]["workflow_call"]["inputs"], inputs)
        return self._steps(described["jobs"][job]["steps"], {"inputs": given}, self.workspace)

    def action(self, folder: Path, inputs: Mapping[str, str]) -> Ran:
        """Run a composite action."""
        described = read_yaml(folder / "action.yml")
        values: dict[str, Mapping[str, str]] = {}
        values["inputs"] = _with_defaults(described["inputs"], inputs, lambda text: self._evaluate(text, values))
        ran = self._steps(described["runs"]["steps"], values, folder)
        steps = {f"steps.{described_id}.outputs.{name}": value for described_id, name, value in _flat(ran)}
        ran.outputs = {
            name: steps.get(_EXPRESSION.sub(r"\1", output["value"]), "")
            for name, output in described["outputs"].items()
        }
        return ran

    def _steps(self, steps: list[dict[str, Any]], values: Mapping[str, Mapping[str, str]], folder: Path) -> Ran:
        ran = Ran()
        for step in steps:
            if ran.status or not self._holds(step.get("if"), values):
                continue
            done = self._step(step, values, folder)
            ran.status, ran.printed = done.status, ran.printed + done.printed
            ran.summary += done.summary
            ran.outputs |= {f"{step.get('id', '')}/{name}": value for name, value in done.outputs.items()}
        return ran

    def _step(self, step: Mapping[str, Any], values: Mapping[str, Mapping[str, str]], folder: Path) -> Ran:
        if "uses" in step:
            given = {name: self._evaluate(text, values) for name, text in step["with"].items()}
            return self.action(self.workspace / step["uses"], given)
        assert step["shell"] == "sh"
        script, output, summary = (self.temp / name for name in ("step.sh", "output", "summary"))
        script.write_text(step["run"])
        output.write_text("")
        summary.write_text("")
        environment = {
            **self._environment,
            **{name: self._evaluate(text, values) for name, text in step.get("env", {}).items()},
            "GITHUB_ACTION_PATH": str(folder),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
        }
        done = subprocess.run(
            ["sh", "-e", str(script)],
            cwd=self.workspace,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=90,
        )
        told = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return Ran(status=done.returncode, printed=done.stdout, outputs=told, summary=summary.read_text())

    def _holds(self, condition: str | None, values: Mapping[str, Mapping[str, str]]) -> bool:
        if condition is None:
            return True
        compared = _COMPARED.fullmatch(condition)
        assert compared is not None, condition
        return self._value(compared[1], values) == compared[2]

    def _evaluate(self, text: object, values: Mapping[str, Mapping[str, str]]) -> str:
        return _EXPRESSION.sub(lambda match: self._value(match[1], values), str(text))

    def _value(self, expression: str, values: Mapping[str, Mapping[str, str]]) -> str:
        for part in expression.split(" || "):
            if part == "github.token":
                return self._token
            kind, _, name = part.partition(".")
            if values.get(kind, {}).get(name):
                return values[kind][name]
        return ""


def _with_defaults(
    described: Mapping[str, Any],
    given: Mapping[str, str],
    evaluate: Any = str,  # noqa: ANN401 - a function of text
) -> dict[str, str]:
    assert given.keys() <= described.keys(), given.keys() - described.keys()
    missing = [name for name, each in described.items() if each.get("required") and not given.get(name)]
    assert not missing, missing
    return {name: given.get(name, evaluate(each.get("default", ""))) for name, each in described.items()}


def _flat(ran: Ran) -> list[tuple[str, str, str]]:
    return [(*name.split("/", 1), value) for name, value in ran.outputs.items()]  # type: ignore[misc]
