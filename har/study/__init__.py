"""Studies: many runs of one base experiment and its variants, executed, judged and reported."""
