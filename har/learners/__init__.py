"""Feature learners: windows to features, built from a norm plan; a linear head makes logits."""
