"""The partitioned-block Kalman filter, written for the reader: float64, one block after another."""

import numpy as np


def kalman(
    references,
    primary,
    *,
    block,
    part,
    num_taps,
    prior,
    steady,
    restless,
    rest_memory,
    unseen,
    step_size,
    every,
    comparison_memory,
    ahead,
):
    """Return what is left of ``primary``, without delay, guards off; lengths are whole blocks."""
    num_references = len(references)
    num_parts = -(-num_taps // part)
    width = block + part
    bins = width // 2 + 1
    num_blocks = len(primary) // block
    padded = np.concatenate([np.zeros((num_references, part)), references], axis=1)
    spectra = []
    weights = np.zeros((2, num_references, num_parts, bins), complex)
    variances = np.zeros((2, num_references, num_parts, bins))
    rest = np.zeros((2, bins))
    power = [0.0, 0.0]
    out_sum = in_sum = 0.0
    started = False
    left = np.zeros(num_blocks * block)

    def expected(b, w):
        total = np.zeros(bins, complex)
        for p in range(min(num_parts, b + 1)):
            total += np.sum(spectra[b - p] * w[:, p], axis=0)
        return np.fft.irfft(total, width)[part:]

    for b in range(num_blocks + ahead):
        if b < num_blocks:
            x = np.fft.rfft(padded[:, b * block : b * block + width], axis=1)
            d = primary[b * block : (b + 1) * block]
            spectra.append(x)
            out_sum += np.sum(d**2)
            in_sum += np.sum(np.abs(x) ** 2) * 2 / (2 * part)
            ratio = out_sum / in_sum if in_sum else 0.0
            if not started and out_sum > 0 and in_sum > 0:
                started = True
                variances[:] = (prior * ratio)[:, np.newaxis]
            if started:
                newly = []
                for f, share in enumerate((steady, restless)):
                    e = d - expected(b, weights[f])
                    newly.append(np.sum(e**2))
                    error = np.fft.rfft(np.concatenate([np.zeros(part), e]))
                    rest[f] = rest_memory * rest[f] + (1 - rest_memory) * np.abs(error) ** 2
                    heard = np.zeros((num_references, num_parts, bins), complex)
                    for p in range(min(num_parts, b + 1)):
                        heard[:, p] = spectra[b - p]
                    level = block / width * np.sum(variances[f] * np.abs(heard) ** 2, axis=(0, 1))
                    gain = variances[f] * heard.conj() / (level + rest[f] / step_size)
                    weights[f] += gain * error
                    learnt = block / width * (gain * heard).real
                    variances[f] = (1 - share) * (1 - learnt) * variances[f] + share * (
                        np.abs(weights[f]) ** 2 + (unseen * ratio * prior)[:, np.newaxis]
                    )
                    for p in range(num_parts):
                        if p % every[f] == b % every[f]:
                            response = np.fft.irfft(weights[f, :, p], width, axis=1)
                            response[:, part:] = 0
                            response[:, max(0, num_taps - p * part) :] = 0
                            weights[f, :, p] = np.fft.rfft(response, axis=1)
                for f in range(2):
                    power[f] = comparison_memory * power[f] + (1 - comparison_memory) * newly[f]
                if power[1] < 0.8 * power[0]:
                    weights[0], variances[0], rest[0] = weights[1], variances[1], rest[1]
                    power[0] = power[1]
                elif power[1] > 2.0 * power[0]:
                    weights[1] = weights[0]
                    variances[1] = np.maximum(variances[0], variances[1])
                    power[1] = power[0]
        late = b - ahead
        if late >= 0 and b < num_blocks:
            d = primary[late * block : (late + 1) * block]
            left[late * block : (late + 1) * block] = d - (
                expected(late, weights[0]) if started else 0.0
            )
    return left[: (num_blocks - ahead) * block]
