"""skill-sync: agent skills from a Git repository to a running gateway. The import package itself; nothing runs at import."""
