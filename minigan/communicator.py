"""Communication between the processes that train one network together: a thin layer over MPI.

Training in a single process has a communicator too, :data:`ALONE`, so that no caller needs to distinguish the two;
:func:`join` returns that of the processes started by mpiexec. All calls but ``rows``, ``alliance`` and ``describe`` are
collective: every process must make them, in the same order.
"""

import atexit
import os
import sys
import time
from contextlib import contextmanager

import numpy as np

TELL_S = 1.0
"""Seconds from a process's last output to its abort, at which mpiexec drops output that it has not yet forwarded."""


class Alone:
    """The communicator of a single process."""

    rank, size = 0, 1

    def rows(self, n):
        """The slice of this process's rows among the rows of all processes, of which each has n."""
        return slice(self.rank * n, (self.rank + 1) * n)

    def mean(self, array):
        """The elementwise mean of all processes' arrays, of one shape; bit-identical in all of them."""
        return array

    def mean_(self, array):
        """The same as ``mean``, in place; return the array."""
        return array

    def moments(self, mean, var):
        """Mean and variance of all processes' values from those of each one's own, which must be equally many."""
        return mean, var

    def any(self, flag):
        """Whether the flag is set in any process."""
        return flag

    def of_first(self, make):
        """Return in all processes what ``make()`` returns in the first, the only one that calls it."""
        return make()

    def check_same(self, what, value):
        """Raise ValueError in all processes unless ``str(value)``, named ``what`` in the error, is the same in all."""

    @contextmanager
    def agreement(self):
        """Make all processes leave the block alike: if it fails in one, it fails in all, with that one's message."""
        yield

    @contextmanager
    def alliance(self):
        """Make the processes end together: one that leaves this block by an exception aborts all when it exits.

        A failed ``agreement`` or ``check_same`` raises in all processes, so it cancels that. Catching any other
        exception outside the block does not.
        """
        yield

    def describe(self):
        """A description of the processes, printed after the device's; empty for a single one."""
        return ""


ALONE = Alone()


class Communicator(Alone):
    """The communicator of the processes of an MPI communicator.

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
        The number of machines that they run on.
    """

    def __init__(self, mpi, comm):
        self._mpi, self._comm = mpi, comm
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.machines = len(set(comm.allgather(mpi.Get_processor_name())))
        self._alliances = 0  # blocks that were entered but not left normally
        atexit.register(self._abort_allies)

    def mean(self, array):
        return self.mean_(np.array(array))

    def mean_(self, array):
        # MPI requires identical results in all processes (MPI 4.1, section 6.9.6): weights stay equal bit for bit.
        self._comm.Allreduce(self._mpi.IN_PLACE, array)
        array /= self.size
        return array

    def moments(self, mean, var):
        # In float64, from the means' distances to their mean: a difference of large squares would cancel.
        own = np.stack([mean, var]).astype(np.float64)
        means, variances = np.moveaxis(self._gathered(own), 1, 0)
        middle = means.mean(axis=0)
        spread = (variances + (means - middle) ** 2).mean(axis=0)
        return middle.astype(mean.dtype), spread.astype(var.dtype)

    def _gathered(self, array):
        """The arrays of all processes, in order of rank: (size, ...)."""
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
                raise ValueError(f"mpi: {what} of process {rank} is {text}, that of process 0 is {texts[0]}")

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
        # At exit the error has been printed, by whatever caught the exception or by Python itself.
        if self._alliances:
            sys.stdout.flush()
            sys.stderr.flush()
            time.sleep(TELL_S)
            self._comm.Abort(1)

    def describe(self):
        place = "one machine" if self.machines == 1 else f"{self.machines} machines"
        return f"{self.size} processes on {place}, each with a part of every batch"


def launched():
    """This process's rank, and the number of processes, as mpiexec told it: (0, 1) if mpiexec did not start it."""
    for library in ("PMI", "OMPI_COMM_WORLD"):  # MPICH and its relatives, Open MPI
        size = os.environ.get(f"{library}_SIZE", "")
        if size.isdigit():
            return int(os.environ.get(f"{library}_RANK", 0)), int(size)
    return 0, 1


def join():
    """The communicator of all processes that mpiexec started, including this one.

    Processes on one machine share its cores. Unless MINIGAN_NUM_THREADS or OMP_NUM_THREADS is set, this sets the former
    to the process's share of the cores that it may use; call it before the first kernel runs.

    Raises
    ------
    ValueError
        If mpi4py or an MPI library is missing, or if this is the only process.
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
            "mpi: this process is the only one; start several: mpiexec -n 4 minigan train ... --mpi (if you did, "
            f"mpiexec belongs to another MPI than the library that mpi4py has loaded, {library})"
        )
    if not (os.environ.get("MINIGAN_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS")):
        os.environ["MINIGAN_NUM_THREADS"] = str(_own_cores(MPI, world))
    return Communicator(MPI, world)


def _own_cores(mpi, world):
    """This process's equal share of the cores that it may use, among the processes whose cores overlap with them."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    neighbours = world.Split_type(mpi.COMM_TYPE_SHARED)
    sharers = sum(not cores.isdisjoint(theirs) for theirs in neighbours.allgather(cores))
    return max(1, len(cores) // sharers)
