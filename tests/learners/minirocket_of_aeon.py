"""The script that wrote ``minirocket_of_aeon.json``: what aeon 1.6.0 makes of windows that need no random numbers.

pip install aeon==1.6.0  # in an environment of its own: it holds numpy and numba back
python tests/learners/minirocket_of_aeon.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WINDOWS, CHANNELS, SAMPLES, FEATURES, SHOWN = 12, 3, 40, 252, 2
FILE = Path(__file__).with_suffix(".json")


def waves() -> np.ndarray:
    """Return windows of waves, float32 (windows, samples, channels), each with phases of its own."""
    window_N11, time_1T1, channel_11C = np.ogrid[:WINDOWS, :SAMPLES, :CHANNELS]
    fast = np.sin(0.9 * time_1T1 * (1 + 0.13 * window_N11) + 2.1 * channel_11C + window_N11**2)
    slow = np.cos(0.17 * time_1T1 * (1 + channel_11C) + 0.7 * window_N11)
    return (fast + 0.5 * slow).astype(np.float32)


def main() -> None:
    """Write the parameters that aeon drew and took, and the features of the last windows under them."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    x_NCT = waves().transpose(0, 2, 1)
    rocket = MiniRocket(n_kernels=FEATURES, random_state=0)
    rocket.fit(x_NCT[:-SHOWN])
    counts, channels, dilations, each, biases = rocket.parameters
    content = {
        "channels_of_each_kernel": [part.tolist() for part in np.split(channels, np.cumsum(counts)[:-1])],
        "dilations": dilations.tolist(),
        "thresholds_of_each_dilation": each.tolist(),
        "thresholds": [float(bias) for bias in biases],
        "features": rocket.transform(x_NCT[-SHOWN:]).round(6).tolist(),
    }
    FILE.write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
