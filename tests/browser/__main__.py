"""`make screenshots`: keep the two pictures that README shows, as the tests in a browser have just taken them."""

from __future__ import annotations

import shutil
import sys

from tests.browser.look import IN_README, NOTED, PICTURES, SHOWN, digest_of_the_look


def main() -> int:
    """Copy them, and note which look they show."""
    SHOWN.mkdir(exist_ok=True)
    for name in IN_README:
        shutil.copyfile(PICTURES / name, SHOWN / name)
    NOTED.write_text(f"{digest_of_the_look()}\n", encoding="utf-8")
    print(f"kept: {', '.join(str(SHOWN / name) for name in IN_README)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
