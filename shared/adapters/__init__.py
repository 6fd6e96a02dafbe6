"""One file for each outside system; foreign errors are translated here and go no further."""
