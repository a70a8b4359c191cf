from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.signal import butter, lfilter, sosfilt

from anc_core import build_filter_bank
from anc_core.dsp.adaptive_guard import GuardEventKind
from anc_core.dsp.fxlms_controller import DeviceModel
from anc_core.dsp.selective_controller import SelectiveController
from anc_core.errors import InputError
from tests.oracles.selective import selective
from tests.strategies import BROKEN_STRETCHES, GAINS, break_stretches
from tests.unit.dsp import test_fxlms_controller as rows

RATE = 8_000
RNG = np.random.default_rng(2)
PRIMARY = np.concatenate([np.zeros(40), RNG.normal(size=160) * np.exp(-np.arange(160) / 40)])
SECONDARY = np.concatenate([np.zeros(10), RNG.normal(size=30) * np.exp(-np.arange(30) / 5)])


def band(low, high, seconds=4.0, seed=0):
    white = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    noise = sosfilt(butter(4, [low, high], "band", fs=RATE, output="sos"), white)
    return 0.1 * noise / noise.std()


LOW, HIGH = band(150, 400), band(1_000, 2_500, seed=1)
WHOLE_BANK = build_filter_bank([LOW, HIGH], RATE, PRIMARY, SECONDARY, num_filters=3, num_taps=96)
# Without the filter for both, which would do for either.
BANK = replace(
    WHOLE_BANK,
    filters=WHOLE_BANK.filters[1:],
    profiles_db=WHOLE_BANK.profiles_db[1:],
    noise_s=WHOLE_BANK.noise_s[1:],
)
FOR_LOW, FOR_HIGH = np.argsort(BANK.profiles_db.argmax(axis=1)).tolist()


def controller(secondary=SECONDARY, **options):
    return SelectiveController(BANK, PRIMARY, secondary, estimate=SECONDARY, **options)


def run(built, reference, disturbance=None, size=None):
    heard = reference[:, np.newaxis]
    sound = lfilter(PRIMARY, 1, heard, axis=0) if disturbance is None else disturbance
    step = size or max(len(heard), 1)
    parts = [
        built.process(heard[at : at + step], sound[at : at + step])
        for at in range(0, max(len(heard), 1), step)
    ]
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def attenuation_db(reference, error, start_s=0.6):
    first = round(start_s * RATE)
    sound = lfilter(PRIMARY, 1, reference)
    return 10 * np.log10(np.mean(sound[first:] ** 2) / np.mean(error[first:, 0] ** 2))


# --------------------------------------------------------------------------- the algorithm


def test_unguarded_controller_computes_the_formula():
    reference = np.concatenate([LOW[:9_000], HIGH[:9_000], 0.3 * LOW[:8_333]])
    built = controller(guarded=False, dtype="float64")
    error, _, command = run(built, reference)
    filters = np.concatenate([np.zeros((1, 96)), BANK.filters[:, 0, 0]])
    wanted, drive, chosen = selective(
        reference,
        lfilter(PRIMARY, 1, reference),
        filters,
        built._effects[:, 0],
        SECONDARY,
        hop=built._meter.hop,
        band_powers=lambda segment: built._meter(segment[np.newaxis])[0],
    )
    np.testing.assert_allclose(command[:, 0], drive, atol=1e-9)
    np.testing.assert_allclose(error[:, 0], wanted, atol=1e-9)
    assert {FOR_LOW + 1, FOR_HIGH + 1} <= set(chosen)
    assert built.chosen == chosen[-1] - 1 == FOR_LOW


@pytest.mark.parametrize(("noise", "own"), [(LOW, FOR_LOW), (HIGH, FOR_HIGH)])
def test_the_filter_of_the_noise_is_found_and_there_at_once(noise, own):
    fresh = 0.2 * sosfilt(butter(1, 0.9, output="sos"), noise)  # another level and tilt
    built = controller()
    error, _, _ = run(built, fresh)
    assert built.chosen == own
    np.testing.assert_array_equal(built.taps, BANK.filters[own].astype(np.float32))
    # Listening takes 0.25 s, the ramp 0.06 s; from then on there is nothing to wait for.
    early, late = attenuation_db(fresh[:RATE], error[:RATE], 0.35), attenuation_db(fresh, error, 2)
    assert late > 10.0
    assert early > late - 2.0


def test_a_change_of_the_noise_changes_the_filter_within_a_frame():
    reference = np.concatenate([LOW[: 2 * RATE], HIGH[: 2 * RATE]])
    built = controller()
    error, _, _ = run(built, reference)
    assert built.chosen == FOR_HIGH
    assert not [event for event in built.drain_events() if event.kind != GuardEventKind.ARMED]
    sound = lfilter(PRIMARY, 1, reference)
    after = slice(round(2.7 * RATE), None)
    assert 10 * np.log10(np.mean(sound[after] ** 2) / np.mean(error[after] ** 2)) > 10.0


def test_filters_fade_into_each_other_without_a_click():
    tone = 0.1 * np.sin(2 * np.pi * 600 * np.arange(4 * RATE) / RATE)
    # From one band to the other and back, slowly: the choice changes while both are heard.
    mix = np.linspace(0, 1, len(tone))
    reference = (1 - mix) * LOW + mix * HIGH + tone
    built = controller(guarded=False, dtype="float64")
    _, _, command = run(built, reference)
    outputs = np.array([lfilter(taps[0, 0], 1, reference) for taps in BANK.filters])
    steps = np.abs(np.diff(outputs, axis=1)).max()
    apart = np.abs(outputs[:, np.newaxis] - outputs[np.newaxis]).max()
    jump = np.abs(np.diff(command[:, 0])).max()
    # No step larger than a filter's own, but for the share of one sample of the fade.
    assert jump < steps + apart / built._meter.hop


def test_what_no_filter_suits_is_left_alone():
    # Only where the primary path brings nothing and the filters would: an anti-noise of its own.
    quiet = np.zeros(201)
    quiet[0] = 1e-6
    harmful = build_filter_bank([LOW], RATE, quiet, SECONDARY, num_filters=1, num_taps=8)
    loud = BANK.filters[:1, :, :, :8] * 0 + 1.0
    built = SelectiveController(replace(harmful, filters=loud), quiet, SECONDARY)
    _, anti_noise, _ = run(built, LOW, np.zeros((len(LOW), 1)))
    assert built.chosen is None
    assert not anti_noise.any()


def test_two_filters_that_are_as_good_do_not_take_turns():
    reference = np.tile(LOW, 2)
    same = replace(BANK, filters=BANK.filters[[FOR_LOW, FOR_LOW]])
    built = SelectiveController(same, PRIMARY, SECONDARY)
    seen = set()
    for at in range(RATE, len(reference), 500):
        heard = reference[at : at + 500, np.newaxis]
        built.process(heard, lfilter(PRIMARY, 1, heard, axis=0))
        seen.add(built.chosen)
    assert len(seen - {None}) == 1


def test_several_channels():
    primary = np.stack([[PRIMARY, 0.5 * PRIMARY], [0.3 * PRIMARY, PRIMARY]])
    secondary = np.zeros((2, 2, 40))
    secondary[0, 0], secondary[1, 1], secondary[0, 1] = SECONDARY, SECONDARY, 0.2 * SECONDARY
    noise = RNG.normal(0, 0.1, (4 * RATE, 2))
    bank = build_filter_bank([noise], RATE, primary, secondary, num_filters=1, num_taps=96)
    built = SelectiveController(bank, primary, secondary)
    sound = np.stack(
        [sum(lfilter(primary[m, j], 1, noise[:, j]) for j in range(2)) for m in range(2)], axis=1
    )
    error, anti_noise, drive = built.process(noise, sound)
    assert error.shape == anti_noise.shape == drive.shape == (4 * RATE, 2)
    late = slice(RATE, None)
    assert 10 * np.log10(np.mean(sound[late] ** 2) / np.mean(error[late] ** 2)) > 4.0


# --------------------------------------------------------------------------- the stream


def trouble():
    """Return a reference with a change, a gap, clicks, NaN and an offset, and its sound."""
    reference = np.concatenate([LOW[:6_000], HIGH[:7_000], np.zeros(1_500), 0.01 * LOW[:5_500]])
    sound = lfilter(PRIMARY, 1, reference)
    reference[3_000] = np.nan
    reference[9_000] = 20.0
    sound[5_000] = np.inf
    reference[14_000:] += 0.5
    return reference, sound[:, np.newaxis]


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("size", [1, 7, 64, 480, 4_096])
def test_any_chunks_give_the_same_bits(size, guarded):
    reference, sound = trouble()
    device = DeviceModel(drive_bits=12, microphone_bits=14, saturation=0.5)
    runs = []
    for chunk in (size, None):
        built = controller(guarded=guarded, device=device)
        runs.append((*run(built, reference, sound, chunk), built.drain_events()))
    for one, whole in zip(runs[0][:3], runs[1][:3], strict=True):
        np.testing.assert_array_equal(one, whole)
    assert runs[0][3] == runs[1][3]


@pytest.mark.parametrize("at", [0, 100, 6_250, 13_001])
def test_state_stops_and_resumes_bit_for_bit(at):
    reference, sound = trouble()
    whole = run(controller(), reference, sound)
    first = controller()
    run(first, reference[:at], sound[:at])
    second = controller()
    second.load(first.state())
    rest = run(second, reference[at:], sound[at:])
    for one, other in zip(whole, rest, strict=True):
        np.testing.assert_array_equal(one[at:], other)


def test_state_of_another_bank_is_refused():
    other = build_filter_bank(None, RATE, np.ones(300), SECONDARY, num_filters=1, num_taps=8)
    state = SelectiveController(other, np.ones(300), SECONDARY, dtype="float64").state()
    with pytest.raises(InputError, match="state 'references' does not fit"):
        controller().load(state)


def test_reset_begins_anew():
    built = controller()
    first = run(built, LOW[:5_000])
    built.reset()
    for one, other in zip(first, run(built, LOW[:5_000]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_bank_for_other_paths_is_refused():
    with pytest.raises(InputError, match="another primary path"):
        SelectiveController(BANK, 2 * PRIMARY, SECONDARY)
    with pytest.raises(InputError, match="another secondary path"):
        SelectiveController(BANK, PRIMARY, SECONDARY, estimate=2 * SECONDARY)
    # What is true need not be what is believed.
    SelectiveController(BANK, PRIMARY, 2 * SECONDARY, estimate=SECONDARY)


@pytest.mark.parametrize("gain", [1e-8, 1e-3, 1e4])
def test_the_level_does_not_matter(gain):
    whole = attenuation_db(LOW, run(controller(), LOW)[0])
    scaled = attenuation_db(gain * LOW, run(controller(), gain * LOW)[0])
    assert scaled == pytest.approx(whole, abs=0.1)


# --------------------------------------------------------------------------- guards


def loudest(reference, error):
    """Return the largest level of 0.1 s over the loudest one without control, as amplitudes."""
    length = RATE // 10

    def levels(samples):
        count = len(samples) // length
        return np.sqrt(np.mean(samples[: count * length].reshape(count, length) ** 2, axis=1))

    return levels(error).max() / levels(reference).max()


@pytest.mark.parametrize("gain", [-1.0, 4.0, -4.0], ids=["turned", "too strong", "both"])
def test_a_wrong_path_ends_in_silence_instead_of_noise(gain):
    reference = np.tile(HIGH, 2)
    sound = lfilter(PRIMARY, 1, reference)
    built = controller(secondary=gain * SECONDARY)
    error, anti_noise, _ = run(built, reference)
    kinds = [event.kind for event in built.drain_events()]
    assert kinds.count(GuardEventKind.LATCHED) == 1
    assert built.num_trips == 3
    assert not anti_noise[-RATE:].any()
    bare = run(controller(secondary=gain * SECONDARY, guarded=False), reference)[0]
    assert loudest(sound, error[:, 0]) < loudest(sound, bare[:, 0])
    # Muted most of the time: what the three tries added.
    assert 10 * np.log10(np.mean(error**2) / np.mean(sound**2)) < 3.0


def test_a_path_that_changes_is_noticed_and_a_rearmed_controller_works_again():
    built = controller()
    run(built, HIGH)
    built.drain_events()
    built.set_secondary_path(-np.pad(SECONDARY, (0, 200)))
    run(built, np.tile(HIGH, 2))
    assert built.num_trips >= 3
    built.set_secondary_path(SECONDARY)
    built.rearm()
    sound = lfilter(PRIMARY, 1, HIGH)
    error, _, _ = run(built, HIGH)
    assert 10 * np.log10(np.mean(sound[RATE:] ** 2) / np.mean(error[RATE:] ** 2)) > 10.0


def test_an_outdated_yardstick_is_none():
    """The noise turns from what the primary path hardly passes to what it passes well."""
    quiet = 0.003 * LOW
    reference = np.concatenate([quiet, HIGH])
    built = controller()
    error, _, _ = run(built, reference)
    assert built.num_trips == 0
    late = slice(6 * RATE, None)
    sound = lfilter(PRIMARY, 1, reference)
    assert 10 * np.log10(np.mean(sound[late] ** 2) / np.mean(error[late] ** 2)) > 10.0


def test_a_noise_that_begins_again_is_no_divergence():
    """The anti-noise comes first: for some milliseconds there is an error and no noise."""
    pause = np.zeros(3 * RATE)
    reference = np.concatenate([HIGH, pause, HIGH, 1e-7 * HIGH, HIGH])
    built = controller()
    error, _, _ = run(built, reference)
    assert built.num_trips == 0
    sound = lfilter(PRIMARY, 1, reference)
    again = slice(round(7.1 * RATE), 11 * RATE)
    assert 10 * np.log10(np.mean(sound[again] ** 2) / np.mean(error[again] ** 2)) > 10.0


def test_what_a_dc_blocker_leaves_of_a_noise_chooses_no_filter():
    built = controller()
    run(built, HIGH)
    chosen = built.chosen
    run(built, np.zeros(5 * RATE))
    assert built.chosen == chosen == FOR_HIGH


@pytest.mark.parametrize("row", rows.ROWS)
def test_no_trouble_does_lasting_harm(row):
    """The table that adaptive controllers pass: loudest 0.1 s, attenuation of the last 2 s."""
    reference, disturbance, estimate, change = rows.disturbed(row, rows.PRIMARY, rows.SECONDARY)
    believed = rows.SECONDARY if estimate is None else estimate
    bank = build_filter_bank(None, rows.RATE, rows.PRIMARY, believed, num_filters=3, num_taps=256)
    built = SelectiveController(bank, rows.PRIMARY, rows.SECONDARY, estimate=estimate)
    centre = float(np.median(disturbance)) if row == "DC" else 0.0
    peak, nr_db = rows.peak_and_attenuation(
        built, reference, disturbance, change=change, centre=centre
    )
    assert peak <= 2.7
    assert nr_db >= -2.0


@settings(max_examples=30, deadline=None)
@given(
    gain=GAINS,
    broken=BROKEN_STRETCHES,
)
def test_nothing_that_comes_in_makes_anything_but_numbers_come_out(gain, broken):
    reference = gain * np.concatenate([LOW[:8_000], HIGH[:8_000]])
    disturbance = lfilter(PRIMARY, 1, reference)[:, np.newaxis]
    break_stretches(broken, reference, disturbance)
    with np.errstate(invalid="ignore"):
        parts = run(controller(), reference, disturbance)
    assert all(np.isfinite(part).all() for part in parts)
    heard = np.nan_to_num(disturbance, nan=0.0, posinf=0.0, neginf=0.0)
    assert np.abs(parts[0]).max() <= 30 * max(np.abs(heard).max(), 1e-30)


def test_broken_samples_are_repaired_and_logged():
    reference, sound = LOW.copy(), lfilter(PRIMARY, 1, LOW)[:, np.newaxis]
    reference[RATE : RATE + 3] = np.nan
    reference[2 * RATE] = np.inf
    sound[3 * RATE] = -np.inf
    built = controller()
    error, anti_noise, command = run(built, reference, sound)
    assert np.isfinite(command).all()
    assert np.isfinite(anti_noise).all()
    kinds = [event.kind for event in built.drain_events()]
    assert kinds.count(GuardEventKind.REPAIRED) == 3
    assert np.isfinite(error).all()
    assert np.mean(error[-RATE + 1 :] ** 2) < 0.2 * np.mean(sound[-RATE + 1 :] ** 2)


def test_a_click_of_the_reference_is_limited():
    reference = LOW.copy()
    reference[2 * RATE] = 100.0
    sound = lfilter(PRIMARY, 1, LOW)[:, np.newaxis]
    _, _, command = run(controller(), reference, sound)
    usual = np.sqrt(np.mean(command[RATE : 2 * RATE] ** 2))
    assert np.abs(command).max() < 7.0 * usual
    _, _, bare = run(controller(guarded=False), reference, sound)
    assert np.abs(bare).max() > 50.0 * usual


def test_an_offset_of_the_reference_is_not_played():
    _, _, command = run(controller(), LOW + 1.0, lfilter(PRIMARY, 1, LOW)[:, np.newaxis])
    _, _, clean = run(controller(), LOW)
    np.testing.assert_allclose(command[RATE:], clean[RATE:], atol=0.02 * np.abs(clean).max())


def test_silence_stays_silence():
    built = controller()
    for part in run(built, np.zeros(2 * RATE)):
        assert not part.any()
    assert built.chosen is None
    assert built.drain_events() == ()


def test_chunks_may_be_empty():
    error, anti_noise, drive = controller().process(np.zeros((0, 1)), np.zeros((0, 1)))
    assert error.shape == anti_noise.shape == drive.shape == (0, 1)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match=r"must be \(5, 1\)"):
        controller().process(np.zeros((5, 2)), np.zeros((5, 1)))
    with pytest.raises(InputError, match="must stay"):
        controller().set_secondary_path(np.ones((2, 1, 4)))
