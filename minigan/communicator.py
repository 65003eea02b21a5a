"""The processes that train one network together, and what they tell each other: a thin layer over MPI.

A training by one process has a communicator as well, :data:`ALONE`, so that nothing asks which it is. That of several,
which mpiexec started, is what :func:`join` returns. Its calls are collective, but for ``rows``, ``alliance`` and
``describe``: all processes make them, in the same order.
"""

import atexit
import os
import sys
import time
from contextlib import contextmanager

import numpy as np

TELL_S = 1.0
"""Between a process's last words and its abort, at which mpiexec drops what it has not yet passed on."""


class Alone:
    """The communicator of one process by itself."""

    rank, size = 0, 1

    def rows(self, n):
        """This process's rows among those that all have together, where each has n: a slice."""
        return slice(self.rank * n, (self.rank + 1) * n)

    def mean(self, array):
        """The mean over all processes of arrays of one shape, element by element; the same bits for each of them."""
        return array

    def mean_(self, array):
        """The same in place; returns the array."""
        return array

    def moments(self, mean, var):
        """Mean and variance of all processes' values, of which each knows those of its own, as many as any other."""
        return mean, var

    def any(self, flag):
        """Whether any process says so."""
        return flag

    def of_first(self, make):
        """What ``make()`` returns in the first process, for all; it is not called in the others."""
        return make()

    def check_same(self, what, value):
        """Raise ValueError unless all processes have the same value, which has a text."""

    @contextmanager
    def agreement(self):
        """Leave the block together: if it fails in one process, it fails in all, with that one's message."""
        yield

    @contextmanager
    def alliance(self):
        """Live and die together: a process that an exception leads out of this block ends the others when it ends.

        Only a failed agreement, which all leave alike, breaks the alliance. Who catches another exception cannot go on.
        """
        yield

    def describe(self):
        """Who they are, for a line after the device's; empty for one."""
        return ""


ALONE = Alone()


class Communicator(Alone):
    """That of the processes of an MPI communicator.

    Parameters
    ----------
    mpi : module
        mpi4py.MPI.
    comm : mpi4py.MPI.Comm

    Attributes
    ----------
    rank, size : int
        Which process this is, and how many there are.
    machines : int
        On how many machines.
    """

    def __init__(self, mpi, comm):
        self._mpi, self._comm = mpi, comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.machines = len(set(comm.allgather(mpi.Get_processor_name())))
        self._alliances = 0  # blocks that were entered, and not left as one should
        atexit.register(self._abort_allies)

    def mean(self, array):
        return self.mean_(np.array(array))

    def mean_(self, array):
        # MPI wants all to receive identical results (MPI 4.1, section 6.9.6): so weights stay equal, bit for bit.
        self._comm.Allreduce(self._mpi.IN_PLACE, array)
        array /= self.size
        return array

    def moments(self, mean, var):
        # In float64, and by the deviations of the means: the difference of large squares would leave nothing.
        own = np.stack([mean, var]).astype(np.float64)
        means, variances = np.moveaxis(self._gathered(own), 1, 0)
        middle = means.mean(axis=0)
        spread = (variances + (means - middle) ** 2).mean(axis=0)
        return middle.astype(mean.dtype), spread.astype(var.dtype)

    def _gathered(self, array):
        """The arrays of all processes, in their order: (size, ...)."""
        gathered = np.empty((self.size, *array.shape), array.dtype)
        self._comm.Allgather(array, gathered)
        return gathered

    def any(self, flag):
        return bool(self._gathered(np.array(flag)).any())

    def of_first(self, make):
        with self.agreement():
            made = make() if self.rank == 0 else None
        return self._comm.bcast(made)

    def check_same(self, what, value):
        texts = self._comm.allgather(str(value))
        for rank, text in enumerate(texts):
            if text != texts[0]:
                self._alliances = 0
                raise ValueError(f"mpi: {what} of process {rank} is {text}, that of process 0 {texts[0]}")

    @contextmanager
    def agreement(self):
        error = None
        with self.alliance():
            try:
                yield
            except (Exception, SystemExit) as raised:
                error = raised
            texts = self._comm.allgather(None if error is None else str(error))
        failed = [(rank, text) for rank, text in enumerate(texts) if text is not None]
        if failed:
            self._alliances = 0
            raise error or ValueError("process {}: {}".format(*failed[0]))

    @contextmanager
    def alliance(self):
        self._alliances += 1
        yield
        self._alliances = max(0, self._alliances - 1)

    def _abort_allies(self):
        # At the end of the process: what went wrong has been told then, by whoever caught the exception, or by Python.
        if self._alliances:
            sys.stdout.flush()
            sys.stderr.flush()
            time.sleep(TELL_S)
            self._comm.Abort(1)

    def describe(self):
        place = "one machine" if self.machines == 1 else f"{self.machines} machines"
        return f"{self.size} processes on {place}, each with a part of every batch"


def join():
    """The communicator of all the processes that mpiexec started, this one among them.

    Processes of one machine share its cores: where no MINIGAN_NUM_THREADS says otherwise, and before the first kernel
    has run, each takes its part of those it may use.

    Raises
    ------
    ValueError
        Where mpi4py or an MPI library is missing, or there is no other process.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ValueError(f'mpi: mpi4py cannot be imported ({error}); pip install "minigan[mpi]"') from error
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"mpi: no MPI library ({reason}); install your system's, or pip install mpich") from error
    world = MPI.COMM_WORLD
    if world.Get_size() == 1:
        library = " ".join(MPI.Get_library_version().split("\n")[0].strip("\0").split())
        raise ValueError(
            "mpi: this process is the only one; start several: mpiexec -n 4 minigan train ... --mpi (if that is what "
            f"you did, this mpiexec is of another MPI than the library that mpi4py has found, {library})"
        )
    if not (os.environ.get("MINIGAN_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")):
        os.environ["MINIGAN_NUM_THREADS"] = str(_own_cores(MPI, world))
    return Communicator(MPI, world)


def _own_cores(mpi, world):
    """How many of the cores that this process may use are its own, if those who share them share alike."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    neighbours = world.Split_type(mpi.COMM_TYPE_SHARED)
    sharers = sum(not cores.isdisjoint(theirs) for theirs in neighbours.allgather(cores))
    return max(1, len(cores) // sharers)
