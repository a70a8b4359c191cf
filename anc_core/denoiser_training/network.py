"""The network: where in time and frequency is speech, seen from both sides.

Convolution of 3 frames x 6 bins to 64 bands, a linear bottleneck, two bidirectional LSTM layers
over time, a linear map back to bands, and a small convolution that joins it with the fine structure
of the first. It gives one gain a cell. LSTM rather than GRU: oneDNN trains it twice as fast, for
equal width (measured; GRU falls back to a loop).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anc_core.denoiser.features import NUM_BINS, NUM_FEATURES
from anc_core.denoiser_training.parameters import NetworkParameters

NUM_BANDS = 64
BINS_PER_BAND = NUM_BINS // NUM_BANDS
SLOPE = 0.1
"""Of the leaky rectifiers."""

GAIN_SCALE = 1.02
"""A sigmoid never reaches 1, but clean speech must pass."""


class GainNetwork(nn.Module):
    """Features (batch, 2, num_frames, 256) -> compressed gains (batch, num_frames, 256).

    The gain multiplies magnitudes that are compressed by ``features.COMPRESSION``;
    ``inference.GAIN_EXPONENT`` leads to that of the plain magnitude.
    """

    def __init__(self, sizes: NetworkParameters) -> None:
        super().__init__()
        p = self.sizes = sizes
        self.encoder = nn.Conv2d(NUM_FEATURES, p.num_channels, (3, 6), (1, BINS_PER_BAND), (1, 1))
        self.narrow = nn.Linear(p.num_channels * NUM_BANDS, p.bottleneck)
        self.lstm = nn.LSTM(p.bottleneck, p.hidden, num_layers=2, bidirectional=True)
        self.widen = nn.Linear(2 * p.hidden, p.num_channels * NUM_BANDS)
        self.join = nn.Conv2d(2 * p.num_channels, p.decoder_channels, 1)
        self.gains = nn.Conv2d(p.decoder_channels, BINS_PER_BAND, (1, 3), padding=(0, 1))
        assert self.gains.bias is not None  # noqa: S101 - it was asked for
        nn.init.constant_(self.gains.bias, 1.0)  # let everything pass at first

    def forward(self, features: Tensor) -> Tensor:
        """Return gains from 0 to 1.02."""
        batch, _, num_frames, _ = features.shape
        fine = nn.functional.leaky_relu(self.encoder(features), SLOPE)
        seen = fine.permute(2, 0, 1, 3).reshape(num_frames, batch, -1)
        heard, _ = self.lstm(nn.functional.leaky_relu(self.narrow(seen), SLOPE))
        coarse = nn.functional.leaky_relu(self.widen(heard), SLOPE)
        coarse = coarse.reshape(num_frames, batch, -1, NUM_BANDS).permute(1, 2, 0, 3)
        joined = nn.functional.leaky_relu(self.join(torch.cat([coarse, fine], 1)), SLOPE)
        logits = self.gains(joined).permute(0, 2, 3, 1).reshape(batch, num_frames, NUM_BINS)
        return GAIN_SCALE * torch.sigmoid(logits)
