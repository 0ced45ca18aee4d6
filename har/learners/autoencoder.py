"""The autoencoder of Li et al. (2018): a code that is learnt without labels, and classified."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from har.learners.base import Features, Learner
from har.learners.layered import LayeredFeatures, Layers
from har.learners.settings import require_positive
from har.norms.plan import NormPlan


class Autoencoder(Learner):
    """A dense layer with ReLU over the flattened window, its code, from which a linear layer gives the window back.

    Li et al. 2018, Sensors 18(2):679, who first train the two on the mean squared error and then a classifier on the
    code. Here both are learnt in the same steps, yet apart: the code from the error of reconstruction alone, the head
    from the code as it is at that step. No gradient of a label reaches the code; labels of the validation subjects
    choose the step, as for every learner. What is to be given back is the window behind the fixed input scaling and in
    front of any norm, which could otherwise make its own target small. The paper's norm plan is placement ``none`` with
    ``model.scaling: none``: it has no norm, and units as the sensors give them.

    Positions of norms: the code.

    Args:
        code: Units of the code.

    Raises:
        UsageError: When there is not one unit.
    """

    def __init__(self, code: int = 5000) -> None:
        require_positive("Autoencoder", "code", code, 5000)
        self.code = code

    def build(self, channels: int, samples: int, norm: NormPlan) -> Features:
        """Build the network; see `Learner.build`."""
        return AutoencoderFeatures(self.code, channels, samples, norm)


class AutoencoderFeatures(LayeredFeatures):
    """The network of an `Autoencoder`: a code, named ``dense1``, and a ``decoder`` that only training needs.

    Args:
        code: Units of the code.
        channels: Sensor channels C.
        samples: Samples T of a window.
        norm: Which norm stands where.
    """

    def __init__(self, code: int, channels: int, samples: int, norm: NormPlan) -> None:
        super().__init__("Autoencoder", Layers(dense=(code,)), channels, samples, norm)
        self.decoder = nn.Linear(code, samples * channels)

    def learn(self, x_NTC: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the code without a way back to its weights, and the mean squared error of the reconstruction."""
        code_ND = self(x_NTC)
        return code_ND.detach(), functional.mse_loss(self.decoder(code_ND), x_NTC.flatten(1))

    def fold(self, head: nn.Linear) -> tuple[nn.Linear, list[str]]:
        """Fold norms as every layered network does, and leave the decoder behind; see `Features.fold`."""
        del self.decoder
        return super().fold(head)
