"""How a setting is described, and read from an environment by its own parser. Which ones there are is `config`'s business."""

from __future__ import annotations

from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigError
from shared.log.redaction import remember
from shared.setting_files import MAX_FILE_BYTES, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from dataclasses import Field


def setting(
    name: str, parse: Callable[[str], Any], default: str | None, side: str, what: str, *, secret: bool = False
) -> Any:  # noqa: ANN401 - dataclass fields are typed where they are declared
    """Describe a field of a dataclass.

    Args:
        name: Of the environment variable.
        parse: Makes the value of the text; its ValueError says what was expected.
        default: As text; None where there is none.
        side: Who sets it.
        what: A sentence for README's table.
        secret: Whether the log hides the value in every line; of an address it hides all but the host.
    """
    meta = {"name": name, "parse": parse, "default": default, "side": side, "what": what, "secret": secret}
    return dataclass_field(metadata=meta)


def read_settings(
    fields: Iterable[Field[Any]], environment: Mapping[str, str], read: Callable[[str], bytes] = read_file
) -> dict[str, object]:
    """Read settings, and let the log hide the secret ones from now on, also those that turn out to be wrong.

    Args:
        fields: Of a dataclass, each described by `setting`.
        environment: Usually `os.environ`.
        read: Reads a file that `<NAME>_FILE` names.

    Returns:
        Each field's value by the field's name.

    Raises:
        ConfigError: `CONFIG_INVALID`, naming every setting that is wrong and what it should be; never its value.
    """
    values, faults = read_what_can_be(fields, environment, read)
    if faults:
        raise ConfigError("CONFIG_INVALID", "; ".join(f"{name}: {fault}" for name, fault in faults.items()))
    return values


def read_what_can_be(
    fields: Iterable[Field[Any]], environment: Mapping[str, str], read: Callable[[str], bytes] = read_file
) -> tuple[dict[str, object], dict[str, str]]:
    """Read settings as `read_settings` does, but raise nothing.

    Args:
        fields: Of a dataclass, each described by `setting`.
        environment: Usually `os.environ`.
        read: Reads a file that `<NAME>_FILE` names.

    Returns:
        Each field's value by the field's name, the default where a setting is wrong; and what is wrong, by the setting's name.
    """
    values: dict[str, object] = {}
    faults: dict[str, str] = {}
    secrets: list[str] = []
    for field in fields:
        name, parse, default = (field.metadata[key] for key in ("name", "parse", "default"))
        try:
            text = raw_setting(environment, name, read)
            if text is not None and field.metadata["secret"]:
                secrets.append(text)
            values[field.name] = _parsed(parse, default if text is None else text)
        except (ValueError, OSError) as error:
            faults[name] = str(error.strerror) if isinstance(error, OSError) else _expected(field.type, error)
            values[field.name] = _parsed(parse, default)
    remember(secrets)
    return values, faults


def _parsed(parse: Callable[[str], object], text: str | None) -> object:
    return None if text is None else parse(text)


def raw_setting(environment: Mapping[str, str], name: str, read: Callable[[str], bytes] = read_file) -> str | None:
    """Return a setting's text without the blanks around it, None when it is not set.

    Raises:
        OSError: the file that `<NAME>_FILE` names cannot be read.
        ValueError: that file is too large or not UTF-8; the message says what was expected.
    """
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name, "").strip() or None
    data = read(path)
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"a file of at most {MAX_FILE_BYTES} bytes")
    try:
        return data.decode().strip() or None
    except UnicodeDecodeError:
        raise ValueError("a file in UTF-8") from None


def _expected(kind: object, error: ValueError) -> str:
    # An enum's own message repeats the value; ours says what was expected.
    text = str(error)
    if " is not a valid " in text or "could not convert" in text:
        return {"ValidationPolicy": "per_skill or all_or_nothing", "VersionPolicy": "strict, declared or derived"}.get(
            str(kind), "a number"
        )
    return f"expected {text}"
