"""Where a result comes from, outside a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from har.training import provenance


@pytest.mark.parametrize(("said", "commit"), [("abc123+changes", "abc123+changes"), ("", None), (None, None)])
def test_an_installation_has_the_commit_that_its_image_was_built_from(
    said: str | None, commit: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "har" / "training" / "provenance.py"))
    monkeypatch.delenv("HAR_COMMIT", raising=False)
    if said is not None:
        monkeypatch.setenv("HAR_COMMIT", said)
    assert provenance.commit.__wrapped__() == commit


def test_a_checkout_speaks_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "har" / "training" / "provenance.py"))
    monkeypatch.setattr(provenance, "_git", lambda folder, *words: "def456" if "HEAD" in words else "")
    monkeypatch.setenv("HAR_COMMIT", "abc123")
    assert provenance.commit.__wrapped__() == "def456"
