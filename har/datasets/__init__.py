"""Raw files to recordings: cards state a data set's facts, readers turn its files into recordings."""
