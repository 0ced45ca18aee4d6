"""Small raw files in each data set's true layout, and small stores. `tests/fakes/<card>.py` has `write(folder)`."""
