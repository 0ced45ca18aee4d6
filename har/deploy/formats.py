"""A classifier in the formats that other programs run: torch.export, ONNX, and ONNX in 8 bits.

Each file says inside what it must be fed (`har.deploy.facts`) and nothing of the machine that wrote it.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from har.deploy.facts import MEMBER, PROPERTY, Facts
from har.deploy.networks import quiet_export, quiet_loggers
from har.errors import UsageError

if TYPE_CHECKING:
    import onnx
    import torch

    from har.learners.classifier import Classifier

_INPUT, _OUTPUT, _DYNAMIC = "x_NTC", "probability_NK", "windows"
# Intel and AMD processors of the last ten years, ARM and browsers; torch's own default at present
_OPSET = 20
_CALIBRATION_BATCH = 64
_EXPORTERS = ("torch.onnx", "onnxscript", "onnx_ir", None)  # loggers


def exported(classifier: Classifier, samples: int, channels: int) -> torch.export.ExportedProgram:
    """Return a classifier as a program from windows to probabilities, of any number of windows.

    Args:
        classifier: In inference mode.
        samples: Samples T of a window.
        channels: Sensor channels C.

    Raises:
        UsageError: It does something that torch cannot export.
    """
    import torch

    class Probabilities(torch.nn.Module):
        """The classifier with softmax behind it."""

        def __init__(self) -> None:
            super().__init__()
            self.classifier = classifier

        def forward(self, x_NTC: torch.Tensor) -> torch.Tensor:
            """Return probability_NK of x_NTC."""
            return torch.softmax(self.classifier(x_NTC), dim=1)

    shapes = {_INPUT: {0: torch.export.Dim(_DYNAMIC, min=1)}}
    try:
        with quiet_export():
            program = torch.export.export(
                Probabilities().eval(), (torch.zeros(2, samples, channels),), dynamic_shapes=shapes
            )
    except Exception as error:  # noqa: BLE001  (torch's exporter raises many kinds; each is a learner that cannot)
        name = type(classifier.features).__name__
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UsageError(f"{name} cannot be exported: {reason}.", "Use the run itself: har.load(RUN).") from None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # places of this machine
    return program


def save_program(program: torch.export.ExportedProgram, facts: Facts, path: Path) -> None:
    """Write a torch.export archive with the facts as a member."""
    import torch

    with quiet_export():
        torch.export.save(program, path, extra_files={MEMBER: facts.text()})


def save_onnx(program: torch.export.ExportedProgram, facts: Facts, path: Path) -> None:
    """Write one ONNX file with the facts among its metadata."""
    import torch

    with quiet_export(), quiet_loggers(*_EXPORTERS):
        written: Any = torch.onnx.export(
            program,
            dynamo=True,
            external_data=False,
            opset_version=_OPSET,
            verbose=False,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
        )
    _finish(written.model_proto, facts, path)


def save_int8(source: Path, facts: Facts, path: Path, calibration_NTC: NDArray[np.float32]) -> str:
    """Write an ONNX file again with weights, and where possible values, of 8 bits.

    Convolutions and dense layers are quantised with the ranges that their values have on windows of validation subjects
    (static, 99.999 % of the values, weights per filter). LSTM layers know no such form: networks with them have 8 bits
    in their weights, and values are quantised as they come (dynamic). A first convolution with few of the weights stays
    as it is: the channels of a window differ too much to share one range.

    Args:
        source: The ONNX file in 32 bits.
        facts: Go into the new one.
        path: The new file.
        calibration_NTC: float32 (windows, samples, channels).

    Returns:
        ``static`` or ``dynamic``.
    """
    import onnx
    from onnxruntime import quantization

    model = onnx.load(source)
    plain = path.with_suffix(".plain.onnx")
    del model.graph.value_info[:]  # shapes of what quantisation rewrites
    onnx.save(model, plain)
    method = "dynamic" if any(node.op_type == "LSTM" for node in model.graph.node) else "static"
    with quiet_loggers(*_EXPORTERS), contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        if method == "dynamic":
            quantization.quantize_dynamic(plain, path, weight_type=quantization.QuantType.QInt8)
        else:
            quantization.quantize_static(
                plain,
                path,
                _reader(calibration_NTC),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.Percentile,
                nodes_to_exclude=_kept_in_32_bits(model),
            )
    plain.unlink()
    _finish(onnx.load(path), facts, path)
    return method


def _reader(calibration_NTC: NDArray[np.float32]) -> Any:
    """Return windows as onnxruntime's calibration reads them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # a class without types
        """Batches, one after the other."""

        def __init__(self) -> None:
            size = min(_CALIBRATION_BATCH, len(calibration_NTC))
            whole = len(calibration_NTC) - len(calibration_NTC) % size  # onnxruntime cannot add up unequal batches
            self._batches = iter({_INPUT: calibration_NTC[i : i + size]} for i in range(0, whole, size))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            """Return the next batch, None behind the last."""
            return next(self._batches, None)

    return Reader()


def _kept_in_32_bits(model: onnx.ModelProto) -> list[str]:
    """Return the nodes in front of the first layer with weights, and this layer where it has few of them; softmax."""
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    weights = [sum(sizes.get(name, 0) for name in node.input) for node in layers]
    kept = [node.name for node in model.graph.node if node.op_type == "Softmax"]
    for node in model.graph.node:
        if layers and node.name == layers[0].name:
            return kept + ([node.name] if weights[0] < sum(weights) / 2 else [])
        kept.append(node.name)
    return kept


def _finish(model: onnx.ModelProto, facts: Facts, path: Path) -> None:
    """Put the facts in, take out what the exporter says of its own sources, and write the file."""
    import onnx

    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = _DYNAMIC
    del model.metadata_props[:]
    model.metadata_props.add(key=PROPERTY, value=facts.text())
    model.doc_string = (
        f"{_INPUT}: float32 (windows, {facts.samples} samples, {len(facts.channels.made)} channels), SI units. "
        f"{_OUTPUT}: one column for each of {', '.join(facts.activities)}."
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
