"""The store of SPAR is the one that every release has made: models that were trained on it mean the same data.

A change is stated in the changelog, with the new hashes here. The table is compared by its content: the bytes of a
Parquet file name the version that wrote it.
"""

from har.datasets.registry import get_card
from har.files import sha256_of_file, sha256_of_json
from har.windows.prepare import prepare
from har.windows.store import Store


def test_the_store_of_spar_is_the_golden_one(tmp_path):
    store = Store.open(prepare(get_card("spar"), root=tmp_path))
    assert sha256_of_file(store.folder / "signal.npy") == (
        "6ce6f4b6e05b4b6bb44e5a52d843f6786a5836038951ee95def61d2c4879800e"
    )
    assert sha256_of_file(store.folder / "label.npy") == (
        "17ade97fea3b7222be726a5fba1aa89eb6814f2b444edfd71bffd4c5903e9814"
    )
    assert sha256_of_json(store.recordings.to_dict("list")) == (
        "4f0de9a571b9110c67b31d078b535e7533473c0c902b439146fc87d6207e9376"
    )
