import numpy as np
import pytest

from anc_core.metrics.intervals import MAX_INTERVALS, IntervalTable

LENGTH = 25  # a frame of 25 ms at 1 kHz


def table_of(num_frames, *, pieces=1):
    rng = np.random.default_rng(0)
    power = rng.random(num_frames)
    table = IntervalTable(1_000, LENGTH, 40)
    for part in np.array_split(np.arange(num_frames), pieces):
        table.add(
            counts=np.full(len(part), LENGTH),
            protected=np.where(part % 4 == 0, LENGTH, 0),
            power_in=LENGTH * power[part],
            power_out=LENGTH * power[part] / 4,
            is_noise=part % 2 == 0,
            noise=np.full(len(part), 1e-4),
        )
    return table, power


def test_rows_of_a_second_carry_the_levels_of_their_frames():
    table, power = table_of(100)
    rows = table.compute()
    assert [(row.index, row.start_s, row.end_s) for row in rows] == [
        (0, 0.0, 1.0),
        (1, 1.0, 2.0),
        (2, 2.0, 2.5),
    ]
    assert rows[1].input_rms_dbfs == pytest.approx(10 * np.log10(power[40:80].mean()))
    assert rows[1].attenuation_db == pytest.approx(6.0206, abs=1e-4)
    assert rows[1].noise_floor_dbfs == pytest.approx(-40.0)
    assert rows[1].protected_share == 0.25


def test_rows_double_before_they_are_too_many():
    num_frames = 40 * MAX_INTERVALS + 1
    table, power = table_of(num_frames)
    rows = table.compute()
    assert len(rows) == MAX_INTERVALS // 2 + 1
    assert rows[0].end_s == 2.0
    assert rows[7].input_rms_dbfs == pytest.approx(10 * np.log10(power[560:640].mean()))
    assert rows[-1].end_s == pytest.approx(num_frames * 0.025)


def test_the_order_of_doubling_does_not_matter():
    for num_frames in (0, 1, 40 * MAX_INTERVALS, 100 * MAX_INTERVALS + 7):
        one, other = table_of(num_frames)[0].compute(), table_of(num_frames, pieces=13)[0].compute()
        assert [row.start_s for row in one] == [row.start_s for row in other]
        np.testing.assert_allclose(
            [row.input_rms_dbfs for row in one],
            [row.input_rms_dbfs for row in other],
            rtol=1e-12,
        )


def test_silence_has_no_level_and_no_attenuation():
    table = IntervalTable(1_000, LENGTH, 40)
    zeros = np.zeros(40)
    table.add(
        counts=np.full(40, LENGTH),
        protected=zeros.astype(int),
        power_in=zeros,
        power_out=zeros,
        is_noise=zeros > 0,
        noise=zeros,
    )
    (row,) = table.compute()
    assert (row.input_rms_dbfs, row.output_rms_dbfs, row.attenuation_db) == (None, None, None)
    assert row.noise_floor_dbfs is None
