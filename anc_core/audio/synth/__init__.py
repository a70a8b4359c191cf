"""Seeded sounds for the demo and the tests: voices, noises, alarms, rooms and whole recordings.

Everything here is computed from a seed: the same seed gives the same samples, and no recording of a
person is needed to show or to test the platform. The functions are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anc_core.lazy import lazy_names

if TYPE_CHECKING:
    from anc_core.audio.synth.alarms import ALARM_KINDS, alarm, alarm_on_intervals
    from anc_core.audio.synth.impulses import clicks
    from anc_core.audio.synth.mixing import active_level_dbfs, active_speech, mix
    from anc_core.audio.synth.noises import NOISE_KINDS, noise
    from anc_core.audio.synth.passing import PassBy
    from anc_core.audio.synth.recordings import write_demo_recordings
    from anc_core.audio.synth.rooms import room, room_response
    from anc_core.audio.synth.voices import voice

__all__ = [
    "ALARM_KINDS",
    "NOISE_KINDS",
    "PassBy",
    "active_level_dbfs",
    "active_speech",
    "alarm",
    "alarm_on_intervals",
    "clicks",
    "mix",
    "noise",
    "room",
    "room_response",
    "voice",
    "write_demo_recordings",
]

_HOME = {
    "ALARM_KINDS": "alarms",
    "NOISE_KINDS": "noises",
    "PassBy": "passing",
    "active_level_dbfs": "mixing",
    "active_speech": "mixing",
    "alarm": "alarms",
    "alarm_on_intervals": "alarms",
    "clicks": "impulses",
    "mix": "mixing",
    "noise": "noises",
    "room": "rooms",
    "room_response": "rooms",
    "voice": "voices",
    "write_demo_recordings": "recordings",
}

__getattr__ = lazy_names(__name__, _HOME)
