"""Feature learners: windows to features, built from a norm plan; a linear head makes logits."""

from har.learners.autoencoder import Autoencoder
from har.learners.cnn import CNN
from har.learners.mlp import MLP
from har.learners.recurrent import LSTM, DeepConvLSTM, Hybrid
from har.learners.residual import ResidualCNN
from har.learners.shared_cnn import SharedCNN

# Every learner that is trained with gradients. A configuration may name one by its class alone.
LEARNERS = (CNN, SharedCNN, MLP, LSTM, Hybrid, DeepConvLSTM, ResidualCNN, Autoencoder)
