"""A trained network as a function from windows to probabilities: of a run, of an ONNX file, of a torch.export archive.

Each imports what it needs and nothing more: a run and an archive need torch, an ONNX file needs onnxruntime alone.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from har.deploy.facts import CHECKPOINT, MEMBER, PROPERTY, Facts
from har.errors import DataError, UsageError, unknown
from har.files import parse_json
from har.training.stored import load_checkpoint

if TYPE_CHECKING:
    import torch

    from har.learners.classifier import Classifier

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
# Members of a torch.export archive, of torch up to 2.7 too: tensors, lists of tensors, and what is not unpickled
_TENSORS = re.compile(r"([^/]+/)?(data/(weights|constants|sample_inputs)/model|serialized_\w+)\.pt")
_LISTS = re.compile(r"[^/]+/data/(weights/model_weights|constants/model_constants)_config\.json")
_PLAIN = re.compile(
    r"([^/]+/)?(\.data/\w+|archive_(format|version)|version|byteorder|models/model\.json|serialized_\w+\.json"
    r"|extra(_files)?/.+|data/weights/weight_\d+|data/constants/tensor_\d+)"
)
_PREFIX = "network."  # of the classifier's weights among those of a training module


def open_network(path: Path) -> tuple[Facts, Network]:
    """Open a model.

    Args:
        path: A run's folder, an ``.onnx`` file or a ``.pt2`` archive, both of `har export`.

    Returns:
        What it must be fed, and the function from x_NTC, float32 (windows, samples, channels), in SI units, to
        probability_NK, float32 (windows, activities).

    Raises:
        UsageError: There is no model of this name, or it is of no known kind.
        DataError: It is damaged.
    """
    if path.is_dir():
        return Facts.of_run(path), of_classifier(classifier_of(path))
    openers = {".onnx": _open_onnx, ".pt2": _open_program}
    if path.suffix not in openers:
        raise UsageError(
            f"{path} is no model: neither a run's folder nor an .onnx or .pt2 file.", "Export a run: har export RUN"
        )
    if not path.is_file():
        raise UsageError(f"there is no model {path}.", "Export a run: har export RUN")
    return openers[path.suffix](path)


def classifier_of(folder: Path) -> Classifier:
    """Rebuild a run's classifier from its best checkpoint alone, in inference mode.

    Args:
        folder: The run's folder.

    Raises:
        UsageError: The learner is no network of this version.
        DataError: The checkpoint is missing or damaged.
    """
    import torch

    from har.learners.classifier import Classifier, InputScaling
    from har.learners.heads import Head
    from har.learners.registry import FITTED_LEARNERS, LEARNERS
    from har.norms.plan import NormPlan

    content = load_checkpoint(folder / CHECKPOINT)
    recipe, model = content["recipe"], content["recipe"]["model"]
    settings = dict(model["learner"])
    known = {learner.__name__: learner for learner in (*LEARNERS, *FITTED_LEARNERS)}
    name = settings.pop("class")
    if name not in known:
        raise unknown("learner", name, known, f"{folder / CHECKPOINT}")
    channels = len(recipe["channels"])
    try:
        learner = known[name](**settings)
    except TypeError:
        raise UsageError(
            f"{folder / CHECKPOINT} has settings that {name} does not take in this version.", "Repeat the run."
        ) from None
    features = learner.build(channels, recipe["samples"], NormPlan(**model["norm"]))
    scaling = InputScaling(model["scaling"], torch.zeros(channels), torch.ones(channels), recipe["channels"])
    head = Head(**model.get("head", {}))  # a run from before there were heads has none
    classifier = Classifier(scaling, features, len(recipe["activities"]), head)
    state = {
        key.removeprefix(_PREFIX): value for key, value in content["state_dict"].items() if key.startswith(_PREFIX)
    }
    try:
        classifier.load_state_dict(state)
    except RuntimeError:
        raise DataError(
            f"the weights of {folder / CHECKPOINT} are not those of its network.", "Repeat the run."
        ) from None
    return classifier.eval()


def of_classifier(classifier: Classifier) -> Network:
    """Return the probabilities of a classifier in inference mode, computed by torch."""
    import torch

    def forward(x_NTC: torch.Tensor) -> torch.Tensor:
        return torch.softmax(classifier(x_NTC), dim=1)

    return _of_torch(forward)


def _of_torch(forward: Callable[[torch.Tensor], torch.Tensor]) -> Network:
    """Return a function on tensors as one on arrays."""
    import torch

    def probabilities(x_NTC: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            probability_NK: NDArray[np.float32] = forward(torch.from_numpy(x_NTC)).numpy()
        return probability_NK

    return probabilities


def _open_program(path: Path) -> tuple[Facts, Network]:
    """Open a torch.export archive."""
    import torch

    members = {MEMBER: ""}
    try:
        with quiet_export(), quiet_loggers("torch.export"):
            program = torch.export.load(_without_objects(path), extra_files=members)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001  (torch raises many kinds for bytes that are no archive)
        raise DataError(f"{path} is damaged ({type(error).__name__}).", "Export the run again.") from None
    return _fitting(Facts.read(members[MEMBER], path), _of_torch(program.module()), path)


def _without_objects(path: Path) -> io.BytesIO:
    """Return the bytes of a torch.export archive that holds tensors and texts alone.

    `torch.export.load` unpickles whatever objects an archive has, and loads libraries out of it. Names are compared
    without case, as torch looks for them.

    Raises:
        DataError: It holds something else.
    """
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as archive:
        names = archive.namelist()
        times = Counter(name.casefold() for name in names)
        strange = [name for name in names if times[name.casefold()] > 1 or not _is_plain(archive, name)]
    if strange:
        raise DataError(
            f"{path} holds more than tensors and texts ({strange[0]}), which torch would run.",
            "Use a model that har export wrote.",
        )
    content.seek(0)
    return content


def _is_plain(archive: zipfile.ZipFile, name: str) -> bool:
    """Return whether torch runs nothing of a member; one of tensors that holds something else raises torch's error."""
    import torch

    if _TENSORS.fullmatch(name):
        torch.load(io.BytesIO(archive.read(name)), weights_only=True)
        return True
    if _LISTS.fullmatch(name):
        listed = parse_json(archive.read(name))["config"].values()
        return all(not each["use_pickle"] and re.match("weight_|tensor_", each["path_name"]) for each in listed)
    return _PLAIN.fullmatch(name) is not None


def _open_onnx(path: Path) -> tuple[Facts, Network]:
    """Open an ONNX file for one thread: a window is too small to be shared by several."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone: advice to its own developers is no news for users
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        stated, name = session.get_modelmeta().custom_metadata_map.get(PROPERTY), session.get_inputs()[0].name
    except Exception as error:  # noqa: BLE001  (its own kinds of errors are no public classes)
        raise DataError(f"{path} is damaged ({type(error).__name__}).", "Export the run again.") from None
    facts = Facts.read(stated, path)

    def probabilities(x_NTC: NDArray[np.float32]) -> NDArray[np.float32]:
        probability_NK: NDArray[np.float32] = session.run(None, {name: x_NTC})[0]
        return probability_NK

    return _fitting(facts, probabilities, path)


def _fitting(facts: Facts, network: Network, path: Path) -> tuple[Facts, Network]:
    """Return an exported model whose network takes and gives what its facts say; one window is tried.

    Raises:
        DataError: It does not.
    """
    wanted = (facts.samples, len(facts.channels.made))
    answer: object
    try:
        answer = network(np.zeros((1, *wanted), np.float32)).shape
    except Exception as error:  # noqa: BLE001  (each runtime has its own kinds, and memory may not suffice)
        answer = type(error).__name__
    if answer != (1, len(facts.activities)):
        raise DataError(
            f"{path} is damaged: it says {wanted[0]} samples of {wanted[1]} channels and {len(facts.activities)} "
            f"activities, its network answers one such window with {answer}.",
            "Export the run again: har export RUN",
        )
    return facts, network


@contextlib.contextmanager
def quiet_export() -> Iterator[None]:
    """Hold back what torch's exporter says to its own developers, by exact texts."""
    known: dict[str, Any] = {
        r"`isinstance\(treespec, LeafSpec\)` is deprecated": FutureWarning,
        r"The tensor attributes .*_flat_weights.* were assigned during export": UserWarning,  # aliases, not state
        r"No complete tensor found in the group": UserWarning,  # of folded weights; they are on the processor
    }
    with warnings.catch_warnings():
        for message, category in known.items():
            warnings.filterwarnings("ignore", message=message, category=category)
        yield


@contextlib.contextmanager
def quiet_loggers(*names: str | None) -> Iterator[None]:
    """Hold back advice to the developers of some libraries; errors are raised all the same.

    Args:
        names: Of loggers; None for the root.
    """
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
