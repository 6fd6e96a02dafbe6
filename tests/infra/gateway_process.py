"""A Python gateway in a process of its own: `python gateway_process.py FOLDER PORT`; its port is its first line.

With `REFUSES` in the environment it has a fault: what holds that text is not taken over.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "infra" / "moltbot"))

import skill_watcher


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    parse, refused = skill_watcher.parse_skill, os.environ.get("REFUSES", "")

    def strict(skill_id: str, data: bytes) -> skill_watcher.Skill:
        if refused and refused.encode() in data:
            raise skill_watcher.NotWholeError("refused")
        return parse(skill_id, data)

    skill_watcher.parse_skill = strict
    watcher = skill_watcher.SkillWatcher(folder)
    watcher.start()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(watcher.health()).encode())

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    sys.stdout.write(f"port {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
