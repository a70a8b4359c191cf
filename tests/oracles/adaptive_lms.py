"""The sample-by-sample filters as the books write them: float64, no guards, nothing fused."""

import numpy as np


def usual(before, present, rise, fall):
    if before == 0.0:
        return present
    if present > before:
        return before + rise * (min(present, 100.0 * before) - before)
    return before + fall * (present - before)


def windows(references, num_taps):
    """Return (n, J·num_taps): for each sample the references, newest first, one after the other."""
    padded = np.pad(references, ((0, 0), (num_taps - 1, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, num_taps, axis=1)[:, :, ::-1]
    return view.transpose(1, 0, 2).reshape(references.shape[1], -1)


def lms(
    references,
    primary,
    *,
    num_taps,
    rule,
    step,
    regularization,
    leakage,
    rise,
    fall,
    proportion,
    share,
):
    """Return the error signal and the weights."""
    x_all = windows(references, num_taps)
    weights = np.zeros(x_all.shape[1])
    error = np.zeros(len(primary))
    level = left = whole = 0.0
    for n, (x, d) in enumerate(zip(x_all, primary, strict=True)):
        e = error[n] = d - weights @ x
        power = x @ x
        level = usual(level, power, rise, fall)
        gains = np.ones_like(weights)
        divisor = power + regularization * level
        if rule == "lms":
            divisor = max(level, power)
        elif rule == "selms":
            left = left + share * (abs(e) - left) if left else abs(e)
            e = left * np.sign(e)
        elif rule == "vss":
            left += share * (e * e - left)
            whole += share * (d * d - whole)
            e *= min(max(left / whole, 0.05), 1.0)
        elif rule == "ipnlms":
            gains *= (1 - proportion) / 2
            if np.any(weights):
                gains += (1 + proportion) / 2 * np.abs(weights) / np.mean(np.abs(weights))
            divisor = gains @ x**2 + (1 - proportion) / 2 * regularization * level
        if step * e / divisor:
            weights = (1 - leakage) * weights + step * e / divisor * gains * x
    return error, weights


def projection(references, primary, *, num_taps, order, step, regularization, leakage, rise, fall):
    x_all = np.pad(windows(references, num_taps), ((order, 0), (0, 0)))
    d_all = np.pad(primary, (order, 0))
    weights = np.zeros(x_all.shape[1])
    error = np.zeros(len(primary))
    level = 0.0
    for n in range(len(primary)):
        rows = slice(n + order, n, -1)
        x, e = x_all[rows], d_all[rows] - x_all[rows] @ weights
        error[n] = e[0]
        level = usual(level, x[0] @ x[0], rise, fall)
        matrix = x @ x.T + regularization * level * np.eye(order)
        weights = (1 - leakage) * weights + step * np.linalg.solve(matrix, e) @ x
    return error, weights


def rls(references, primary, *, num_taps, forgetting, regularization, leakage, rise, fall):
    x_all = windows(references, num_taps)
    size = x_all.shape[1]
    weights = np.zeros(size)
    matrix = None
    error = np.zeros(len(primary))
    level = 0.0
    for n, (x, d) in enumerate(zip(x_all, primary, strict=True)):
        error[n] = d - weights @ x
        level = usual(level, x @ x, rise, fall)
        if n < num_taps:
            continue
        if matrix is None:
            matrix = np.eye(size) * size / max(x @ x, level)
        trace = np.trace(matrix)
        turned = matrix @ x
        divisor = forgetting + x @ turned
        weights = (1 - leakage) * weights + turned / divisor * error[n]
        grown = matrix - np.outer(turned, turned) / divisor
        if trace < size * size / (regularization * max(x @ x, level)):
            grown /= forgetting
        matrix = grown
    return error, weights
