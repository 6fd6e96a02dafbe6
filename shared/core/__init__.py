"""Rules only: values and `now` go in, values or an error come out. No I/O, no clock, no environment."""
