"""Write all mails into a folder, for other programs: ``python -m tests.spoofs FOLDER``.

``index.json`` says what each plays on and what ``verify`` has to say; ``root.pem`` is the only trust anchor, and the
CRLs that some rows name lie beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.spoofs.collection import WORKSHOP, collection
from tests.spoofs.honest import honest
from tests.spoofs.spoof import Spoof


def main(folder: Path) -> None:
    """Write them."""
    rows = []
    files = {name: folder / f"{name}.{'pem' if name == 'root' else 'der'}" for name in WORKSHOP.files()}
    for kind, mails in (("spoofs", collection()), ("honest", honest(WORKSHOP))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for mail in mails:
            path = folder / kind / f"{mail.name}.eml"
            path.write_bytes(mail.mail)
            spoof = mail if isinstance(mail, Spoof) else None
            row = {"file": f"{kind}/{path.name}", "verdict": spoof.verdict if spoof else "trusted", "why": mail.why}
            options = [option.format(**files) for option in mail.options]
            rows.append(row | ({"code": spoof.code} if spoof else {}) | ({"options": options} if options else {}))
    for name, content in WORKSHOP.files().items():
        files[name].write_bytes(content)
    (folder / "index.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
