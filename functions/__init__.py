"""The HTTP functions: one thin file for each. `main.py` lists the entry points."""
