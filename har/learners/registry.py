"""The learners: those that are trained with gradients, and those that are fitted at once."""

from __future__ import annotations

from har.learners.autoencoder import Autoencoder
from har.learners.base import Learner
from har.learners.cnn import CNN
from har.learners.codebook import Codebook
from har.learners.fitted import FittedLearner
from har.learners.handcrafted import HandCrafted
from har.learners.minirocket import MiniRocket
from har.learners.mlp import MLP
from har.learners.recurrent import LSTM, DeepConvLSTM, Hybrid
from har.learners.residual import ResidualCNN
from har.learners.shared_cnn import SharedCNN

LEARNERS: tuple[type[Learner], ...] = (CNN, SharedCNN, MLP, LSTM, Hybrid, DeepConvLSTM, ResidualCNN, Autoencoder)
FITTED_LEARNERS: tuple[type[FittedLearner], ...] = (HandCrafted, Codebook, MiniRocket)
