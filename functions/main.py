"""Every entry point of the function set; `functions-framework --source functions/main.py --target <name>` serves one.

The framework puts only this file's folder on the import path, wherever it is started from, so the folder above is added
before anything of ours is imported.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import flask

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from functions.app import app
from functions.dashboard import dashboard
from functions.poll import poll
from functions.release import release
from functions.status import status
from functions.sync import sync
from functions.validate import validate
from functions.webhook import webhook
from shared.log.foreign import catch_loggers, catch_uncaught
from shared.starting import check_start

__all__ = ["app", "dashboard", "poll", "release", "status", "sync", "validate", "webhook"]

catch_loggers()
catch_uncaught()
# The framework loads this file in the context of an application that bears its target's name.
if flask.has_app_context():
    check_start(flask.current_app.import_name)
    # What is loaded now stays loaded: looking through all of it for garbage is a tenth of what a first call has to load.
    gc.freeze()
