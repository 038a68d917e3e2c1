"""The modules that are registered with p11-kit, read from its ``*.module`` files (pkcs11.conf(5))."""

from __future__ import annotations

import os
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_INTEGER = re.compile(r"-?[0-9]{1,9}")
_PROGRAM = "smime-agent"
_SYSTEM = Path("/usr/share/p11-kit/modules")
_ADMINISTRATOR = Path("/etc/pkcs11/modules")


@dataclass(frozen=True, slots=True)
class RegisteredModule:
    """One registered module: its name, the path of its shared object, and its priority (higher comes first)."""

    name: str
    path: str
    priority: int = 0


def registered_modules() -> list[RegisteredModule]:
    """The modules that p11-kit would load for us and that may hold keys, in its order.

    A file of the user comes before one of the administrator, and that before one of a package, by the same name.
    """
    files: dict[str, Path] = {}
    for folder in (_SYSTEM, _ADMINISTRATOR, _user_folder()):
        try:
            files.update({path.stem: path for path in sorted(folder.glob("*.module"))})
        except OSError:
            continue
    modules = [module for name, path in files.items() if (module := _read(name, path)) is not None]
    return sorted(modules, key=lambda module: (-module.priority, module.name))


def _user_folder() -> Path:
    # An account without a home has its "~" left as it is, where nothing will be found.
    return Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")) / "pkcs11" / "modules"  # noqa: PTH111


def _read(name: str, path: Path) -> RegisteredModule | None:
    """One file, or nothing where it is not for us or cannot be read."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    settings = {
        key.strip(): value.strip()
        for key, colon, value in (line.partition(":") for line in lines)
        if colon and not key.lstrip().startswith("#")
    }
    module = settings.get("module")
    if not module or settings.get("trust-policy") == "yes" or _disabled(settings):
        return None
    found = _locate(module)
    priority = settings.get("priority", "0")
    return RegisteredModule(name, found, int(priority) if _INTEGER.fullmatch(priority) else 0) if found else None


def _disabled(settings: dict[str, str]) -> bool:
    enabled, disabled = settings.get("enable-in"), settings.get("disable-in")
    if enabled is not None:
        return _PROGRAM not in enabled.replace(",", " ").split()
    return disabled is not None and _PROGRAM in disabled.replace(",", " ").split()


def _locate(module: str) -> str | None:
    """The path of a module; a relative one is looked up where p11-kit's own modules are."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    folders = (f"/usr/lib/{multiarch}/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/pkcs11", "/usr/local/lib/pkcs11")
    candidates = (Path(folder) / module for folder in folders)  # an absolute path stays what it is
    return next((str(candidate) for candidate in candidates if candidate.exists()), None)
