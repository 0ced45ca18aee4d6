"""One run: one learner trained on one fold with one seed, in one folder."""
