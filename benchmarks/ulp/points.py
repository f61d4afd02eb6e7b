"""Where functions are measured: special values, everything uniformly in bits, the ranges losses use, and the neighbourhoods of trouble."""

import itertools

import numpy as np

LN2 = 0.6931471805599453
UNSIGNED = {"float32": np.uint32, "float64": np.uint64}
EXP = {"float32": (-105.0, 89.5), "float64": (-747.0, 711.0)}  # where the exponential is neither 0 nor infinite, and a little more
NONNEGATIVE = {"log", "sqrt", "pow", "log_ratio", "kl_div", "log1p_difference"}  # defined there; a few negative points remain,
UNDEFINED = {"log_ratio"}  # whose NaN is asked for, but not of these, which promise nothing outside their domain
RATIOS = {  # a / b near which points lie: 1, and where the implementations change method
    "log_ratio": [1.0, 1.0, 1.0, 1.4375, 1 / 1.4375],
    "kl_div": [1.0, 1.0, 1.0, 1.4427, 0.72135, 2.8854, 0.36068],
}
# where the implementations change method, or results reach the ends of their range; 2**k times 3/4, 1, 3/2 and k ln 2 / 2 come besides
EDGES = {
    "float32": [1e-7, 0.25, 0.4, 0.5, 1.0, 1.4, 8.7, 16.7, 17.4, 20.0, 87.4, 88.73, 103.98, 104.0],
    "float64": [1e-16, 0.25, 0.4, 0.5, 1.0, 1.4, 18.4, 19.1, 36.8, 37.5, 40.0, 708.4, 709.79, 745.14, 746.0],
}


def special(dtype):
    """Zeros, ends of the subnormals and of the normals, neighbours of 1, infinities, NaN; both signs."""
    info, one = np.finfo(dtype), np.dtype(dtype).type(1)
    largest_subnormal = np.nextafter(info.smallest_normal, one * 0)
    values = [0.0, info.smallest_subnormal, largest_subnormal, info.smallest_normal, info.eps, 0.5, np.nextafter(one, one * 0), 1.0]
    values += [np.nextafter(one, one * 2), 1.5, 2.0, 3.0, 10.0, 100.0, 1 / info.eps, info.max, np.inf]
    return np.array([sign * float(value) for value in values for sign in (1, -1)] + [np.nan]).astype(dtype)


def patterns(dtype, start, stop, step):
    """The numbers whose bit patterns are start, start + step ... below stop."""
    return np.arange(start, stop, step, dtype=np.uint64).astype(UNSIGNED[dtype]).view(dtype)


def directed(name, dtype, rng, n):
    """About n arguments of a function of one."""
    low, high = EXP[dtype]
    info = np.finfo(dtype)
    shares = [int(n * share) for share in (0.25, 0.35, 0.15, 0.1, 0.05, 0.05)]
    k = np.round(rng.uniform(2 * low / LN2, 2 * high / LN2, shares[4]))
    powers = rng.choice([0.75, 1.0, 1.5], shares[4]) * 2.0 ** np.round(rng.uniform(info.minexp, info.maxexp - 2, shares[4]))
    parts = [
        _any(dtype, rng, shares[0]),
        _signs(rng, shares[1]) * 2.0 ** rng.uniform(-30, np.log2(50), shares[1]),
        rng.uniform(low, high, shares[2]),
        _near(rng, _signs(rng, shares[3]) * rng.choice(EDGES[dtype], shares[3]), dtype),
        _near(rng, np.concatenate([k * (LN2 / 2), _signs(rng, shares[4]) * powers]), dtype, closest=12),
        _signs(rng, shares[5]) * 2.0 ** rng.uniform(info.minexp - info.nmant, -30, shares[5]),
    ]  # fmt: skip
    x = _cast(parts, dtype)
    return np.concatenate([special(dtype), _mostly_positive(x, rng) if name in NONNEGATIVE else x])


def pairs(name, dtype, rng, n):
    """About n arguments of a function of two: (a, b)."""
    everywhere = np.array(list(itertools.product(special(dtype), repeat=2)), dtype).T
    n_any, n_ordinary, n_wide, n_close = (int(n * share) for share in (0.2, 0.3, 0.25, 0.25))
    ordinary = _signs(rng, n_ordinary) * 2.0 ** rng.uniform(-30, 30, n_ordinary)
    close = _near(rng, rng.choice([1.0, 1.0, 0.75, 1.5, 0.5**0.5, 2**0.5], n_close), dtype, closest=4)
    a = _cast([_any(dtype, rng, n_any), ordinary, _any(dtype, rng, n_wide), close], dtype)
    if name in NONNEGATIVE:
        a = _mostly_positive(a, rng)
    if name == "log1p_difference":  # and the numbers from -1 to 0, the nearest to -1 among them
        a[::4] = _cast([2.0 ** -rng.uniform(0, np.finfo(dtype).nmant, len(a[::4])) - 1.0], dtype)
    rest = a[n_any + n_ordinary :].astype(float)
    anything = _any(dtype, rng, n_any)
    with np.errstate(all="ignore"):
        if name == "pow":
            halves = np.round(rng.uniform(-7, 7, n_ordinary)) / 2
            b = _cast([anything, halves, rng.uniform(*EXP[dtype], len(rest)) / np.log(rest)], dtype)
        elif name == "exp_product":
            b = _cast([anything, rng.uniform(*EXP[dtype], len(a) - n_any) / a[n_any:].astype(float)], dtype)
        elif name in RATIOS:
            ratios = 1.0 / rng.choice(RATIOS[name], len(rest))
            b = _mostly_positive(_cast([anything, rng.permutation(ordinary), _near(rng, rest * ratios, dtype)], dtype), rng)
        elif name == "log1p_difference":
            b = _cast([anything, rng.permutation(a[n_any : n_any + n_ordinary]), _near(rng, rest, dtype)], dtype)
        else:
            b = np.where(rng.random(len(a)) < 0.1, np.abs(a), rng.permutation(a))
    a, b = np.concatenate([everywhere[0], a]), np.concatenate([everywhere[1], b])
    return (np.abs(a), np.abs(b)) if name in UNDEFINED else (a, b)


def _signs(rng, n):
    return rng.choice([-1.0, 1.0], n)


def _cast(parts, dtype):
    """In one array of the dtype; what it has no room for becomes infinite."""
    with np.errstate(all="ignore"):
        return np.concatenate(parts).astype(dtype)


def _mostly_positive(x, rng):
    return np.where(rng.random(len(x)) < 0.97, np.abs(x), x)


def _any(dtype, rng, n):
    """Uniform in bits: every number is as likely as any other."""
    return rng.integers(0, np.iinfo(UNSIGNED[dtype]).max, n, dtype=UNSIGNED[dtype], endpoint=True).view(dtype)


def _near(rng, values, dtype, closest=1):
    """Neighbours: a relative distance of 2**-closest down to a unit or two in the last place, on either side."""
    steps = 2.0 ** -rng.uniform(closest, np.finfo(dtype).nmant + 1, len(values))
    with np.errstate(all="ignore"):
        return values * (1.0 + _signs(rng, len(values)) * steps)
