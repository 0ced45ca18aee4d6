"""Loss traces that a change of the arithmetic must not alter unnoticed."""
