"""What a sound is like, in numbers that do not depend on its level."""

from anc_core.features.clips import analysed_features, at_analysis_rate, clip_features
from anc_core.features.frame_features import FRAMES_PER_S, SAMPLE_RATE
from anc_core.features.vectors import FEATURE_NAMES, FEATURE_SCHEMA, NUM_FEATURES
from anc_core.features.window_stream import WindowFeatures, WindowVectors

__all__ = [
    "FEATURE_NAMES",
    "FEATURE_SCHEMA",
    "FRAMES_PER_S",
    "NUM_FEATURES",
    "SAMPLE_RATE",
    "WindowFeatures",
    "WindowVectors",
    "analysed_features",
    "at_analysis_rate",
    "clip_features",
]
