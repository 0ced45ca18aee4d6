"""The learners that are trained with gradients: one line each."""

from __future__ import annotations

from har.learners.autoencoder import Autoencoder
from har.learners.base import Learner
from har.learners.cnn import CNN
from har.learners.mlp import MLP
from har.learners.recurrent import LSTM, DeepConvLSTM, Hybrid
from har.learners.residual import ResidualCNN
from har.learners.shared_cnn import SharedCNN

LEARNERS: tuple[type[Learner], ...] = (CNN, SharedCNN, MLP, LSTM, Hybrid, DeepConvLSTM, ResidualCNN, Autoencoder)
