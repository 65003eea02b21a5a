"""Optimisers in one pass: the parameter, its gradient and its state are read once, and what changes is written once.

The scalars of a step (bias corrections, 1 - beta) are computed in float64 and rounded last: 1 - 0.999 has only four
correct digits in float32.
"""

import math
from functools import cache

import numpy as np
from numba import njit

from ..spec.optim import each, number
from .tasks import Arguments, array_at, compiled, data
from .threads import NUM_THREADS, share

MIN_PARALLEL_SIZE = 1 << 13  # values: one thread is done with fewer before another has noticed


def sgd_(param, grad, velocity, *, lr, momentum):
    """velocity = momentum velocity + grad; param -= lr velocity."""
    _in_place("sgd_", _sgd_task, {"grad": grad, "param": param, "velocity": velocity}, number(lr), momentum)


def adam_(param, grad, m, v, *, step, lr, beta1, beta2, eps):
    """param -= lr mhat / (sqrt(vhat) + eps), with both bias corrections folded into scalars."""
    step = number(step)
    corrected_lr = number(lr) / (1 - beta1**step)
    root_correction = 1 / math.sqrt(1 - beta2**step)
    scalars = (corrected_lr, root_correction, beta1, 1 - beta1, beta2, 1 - beta2, eps)
    _in_place("adam_", _adam_task, {"grad": grad, "param": param, "m": m, "v": v}, *scalars)


def rmsprop_(param, grad, square_mean, *, lr, decay, eps):
    """square_mean = decay square_mean + (1 - decay) grad^2; param -= lr grad / (sqrt(square_mean) + eps)."""
    arrays = {"grad": grad, "param": param, "square_mean": square_mean}
    _in_place("rmsprop_", _rmsprop_task, arrays, number(lr), decay, 1 - decay, eps)


_arguments = Arguments("arrays count ranges s0:d s1:d s2:d s3:d s4:d s5:d s6:d")
_LAYOUT = _arguments.layout


def _in_place(kernel, task, arrays, *scalars):
    """Update arrays (grad, param, states), or lists of them, over the pool: a range is a piece of each array."""
    calls = list(each(*arrays.values()))
    flat = [group if all(a.flags.carray for a in group) else _contiguous(kernel, arrays, group) for group in calls]
    unused = (0,) * (4 - len(arrays))
    table = np.array([(group[0].size, *map(id, group), *unused) for group in flat], np.int64)
    ranges = NUM_THREADS if sum(group[0].size for group in flat) > MIN_PARALLEL_SIZE else 1
    arguments = _arguments(id(table), len(table), ranges, *scalars, *_NONE[len(scalars) :])
    share(task(flat[0][0].dtype).address, arguments, ranges)
    for group, updated in zip(calls, flat, strict=True):
        for array, copy in zip(group, updated, strict=True):
            if array is not copy and array is not group[0]:  # an updated copy
                array[...] = copy


def _contiguous(kernel, names, group):
    """The arrays, or copies of those not contiguous; refuse read-only ones, as writes by address are not checked."""
    for name, array in zip(names, group, strict=True):
        if not array.flags.writeable and name != "grad":
            raise ValueError(f"{kernel}: {name} of shape {array.shape} is read-only, but is updated in place")
    return [a if a.flags.c_contiguous else a.copy() for a in group]


_NONE = (0.0,) * 7


@njit
def _piece(args, parameter, which, number, dtype):
    """A range's piece of one array: ``which`` is 0 for the gradient, 1 for the parameter, 2 and 3 for its states."""
    row = array_at(data(args.arrays) + parameter * 40, (5,), np.int64)
    start, stop, at = row[0] * number // args.ranges, row[0] * (number + 1) // args.ranges, data(row[1 + which])
    return array_at(at + start * array_at(at, (1,), dtype).itemsize, (stop - start,), dtype)


@cache
def _sgd_task(dtype):
    kind = dtype.type

    def sgd(arguments, number):
        args = array_at(arguments, (1,), _LAYOUT)[0]
        lr, momentum = kind(args.s0), kind(args.s1)
        for p in range(args.count):
            grad = _piece(args, p, 0, number, kind)
            param = _piece(args, p, 1, number, kind)
            velocity = _piece(args, p, 2, number, kind)
            for i in range(param.size):
                velocity[i] = momentum * velocity[i] + grad[i]
                param[i] -= lr * velocity[i]

    return compiled(sgd)


@cache
def _adam_task(dtype):
    kind = dtype.type

    def adam(arguments, number):
        args = array_at(arguments, (1,), _LAYOUT)[0]
        corrected_lr, root_correction, eps = kind(args.s0), kind(args.s1), kind(args.s6)
        beta1, rest1, beta2, rest2 = kind(args.s2), kind(args.s3), kind(args.s4), kind(args.s5)
        for p in range(args.count):
            grad = _piece(args, p, 0, number, kind)
            param = _piece(args, p, 1, number, kind)
            m = _piece(args, p, 2, number, kind)
            v = _piece(args, p, 3, number, kind)
            for i in range(param.size):
                m[i] = beta1 * m[i] + rest1 * grad[i]
                v[i] = beta2 * v[i] + rest2 * (grad[i] * grad[i])
                param[i] -= corrected_lr * m[i] / (math.sqrt(v[i]) * root_correction + eps)

    return compiled(adam)


@cache
def _rmsprop_task(dtype):
    kind = dtype.type

    def rmsprop(arguments, number):
        args = array_at(arguments, (1,), _LAYOUT)[0]
        lr, decay, rest, eps = kind(args.s0), kind(args.s1), kind(args.s2), kind(args.s3)
        for p in range(args.count):
            grad = _piece(args, p, 0, number, kind)
            param = _piece(args, p, 1, number, kind)
            square_mean = _piece(args, p, 2, number, kind)
            for i in range(param.size):
                square_mean[i] = decay * square_mean[i] + rest * (grad[i] * grad[i])
                param[i] -= lr * grad[i] / (math.sqrt(square_mean[i]) + eps)

    return compiled(rmsprop)
