"""Makes `schema.json`, the part of the Google provider's schema that infra/terraform uses, from its binding for Python.

    python -m pip download --no-deps -d FOLDER cdktn-provider-google==VERSION
    python tests/terraform/make_schema.py FOLDER/*.whl

The provider itself comes from Terraform's own registry alone, which a build without internet does not reach. Its binding is
generated from the provider's schema, and holds its names, types and what is required. It does not tell which optional
attributes the provider fills in: here, only the id. The binding is under the Mozilla Public License 2.0.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONFIGURATION = HERE.parents[1] / "infra" / "terraform"
_USED = re.compile(r'^\s*(resource|data)\s+"google_(\w+)"', re.MULTILINE)
_ENTRY = re.compile(
    r'(\w+): \{\s+value: [^\n]+\n\s+isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType: "(\w+)",\s+\}'
)
_FILLED_IN = re.compile(r"get(String|Number|Boolean|List|StringMap|NumberList|BooleanMap)Attribute\('(\w+)'\)")
_TYPES = {"String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"]}
_TYPES |= {"StringMap": ["map", "string"], "NumberList": ["list", "number"], "BooleanMap": ["map", "bool"]}
_PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool"}


class Binding:
    """The binding's description of its classes, and their programs."""

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as outer:
            inner = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
            packed = outer.read(inner)
        self._programs: dict[str, str] = {}
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                if member.name == "package/.jsii":
                    self._types = json.loads(_content(archive, member))["types"]
                elif re.fullmatch(r"package/lib/[a-z0-9-]+/(index|\w+)\.js", member.name):
                    folder = member.name.split("/")[2]
                    self._programs[folder] = self._programs.get(folder, "") + _content(archive, member).decode()

    def version(self) -> str:
        found = re.search(r"providerVersion: '([\d.]+)'", self._programs["storage-bucket"])
        assert found is not None
        return found[1]

    def block_of(self, folder: str) -> dict[str, Any]:
        module = re.sub(r"-(\w)", lambda match: match[1].upper(), folder)
        kind = next(
            entry["fqn"]
            for entry in self._types.values()
            if entry.get("namespace") == module
            and entry.get("base", "").startswith("cdktn.Terraform")
            and f"{entry['fqn']}Config" in self._types
        )
        return self._block(self._programs[folder], f"{kind}Config", kind)

    def _block(self, program: str, struct: str, filled_by: str) -> dict[str, Any]:
        entries = {name: (form, kind) for name, _, form, kind in _ENTRY.findall(self._writer(program, struct))}
        attributes: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        for prop in self._types[struct].get("properties", []):
            told = prop["docs"].get("summary", "") + prop["docs"].get("remarks", "")
            found = re.search(r"#(\w+) \S+\}", told)
            if found is None:
                continue  # of every resource: count, provider and the like
            name, required = found[1], not prop.get("optional", False)
            inner = _struct_of(prop["type"])
            if inner is not None and prop["docs"].get("summary", "").endswith("block."):
                one = "fqn" in prop["type"]
                mode = {"set": "set", "struct": "single"}.get(entries.get(name, ("list", ""))[0], "list")
                nested = self._block(program, inner, f"{inner}OutputReference")
                blocks[name] = {"mode": mode, "one": one, "required": required, **nested}
            else:
                attributes[name] = {"type": _type_of(prop["type"], entries.get(name)), "required": required}
        for kind, name in _FILLED_IN.findall(_class_text(program, filled_by.rsplit(".", 1)[1])):
            if name not in attributes and name not in blocks:
                attributes[name] = {"type": _TYPES[kind], "computed": True}
        if "id" in attributes and not attributes["id"].get("required"):
            attributes["id"]["computed"] = True
        return {"attributes": dict(sorted(attributes.items())), "blocks": dict(sorted(blocks.items()))}

    def _writer(self, program: str, struct: str) -> str:
        name = struct.rsplit(".", 1)[1]
        writer = name[0].lower() + name[1:] + "ToHclTerraform"
        found = re.search(rf"^function {writer}\(.*?^\}}", program, re.MULTILINE | re.DOTALL)
        if found is not None:
            return found[0]
        found = re.search(r"^    synthesizeHclAttributes\(\) \{.*?^    \}", program, re.MULTILINE | re.DOTALL)
        assert found is not None, f"{struct} has no writer"
        return found[0]


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read()


def _class_text(program: str, name: str) -> str:
    found = re.search(rf"^class {name} extends .*?^\}}", program, re.MULTILINE | re.DOTALL)
    return "" if found is None else found[0]


def _struct_of(kind: dict[str, Any]) -> str | None:
    if "union" in kind:
        return next((inner for each in kind["union"]["types"] if (inner := _struct_of(each)) is not None), None)
    if "collection" in kind:
        return _struct_of(kind["collection"]["elementtype"])
    name = kind.get("fqn", "")
    return name if name.startswith("@cdktn/provider-google.") else None


def _type_of(kind: dict[str, Any], entry: tuple[str, str] | None) -> Any:  # noqa: ANN401 - as the schema writes types
    if "primitive" in kind:
        return _PRIMITIVES[kind["primitive"]]
    if "union" in kind:
        first = next(each for each in kind["union"]["types"] if each.get("fqn") != "cdktn.IResolvable")
        return _type_of(first, entry)
    if "collection" in kind:
        inner = _type_of(kind["collection"]["elementtype"], None)
        if kind["collection"]["kind"] == "map":
            return ["map", inner]
        return ["set" if entry is not None and entry[0] == "set" else "list", inner]
    return "dynamic"


def main() -> None:
    """Write the schema of every type that the configuration names."""
    binding = Binding(Path(sys.argv[1]))
    used = sorted({pair for file in CONFIGURATION.rglob("*.tf") for pair in _USED.findall(file.read_text())})
    schema: dict[str, Any] = {"version": binding.version(), "provider": binding.block_of("provider")}
    for key, word, prefix in (("resources", "resource", ""), ("data", "data", "data-google-")):
        names = [name for kind, name in used if kind == word]
        schema[key] = {f"google_{name}": binding.block_of(prefix + name.replace("_", "-")) for name in names}
    (HERE / "schema.json").write_text(json.dumps(schema, indent=1) + "\n")


if __name__ == "__main__":
    main()
