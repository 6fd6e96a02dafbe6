"""Use cases, each readable as gather, decide, apply. What is outside comes in through the ports."""
