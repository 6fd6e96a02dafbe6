"""skill-sync: agent skills from a Git repository to a running gateway. Nothing runs at import."""
