"""The filter of system calls that every tested program runs under, as BPF bytes.

Generated here, so that no library is needed. It is a list of what is allowed: reading, writing,
memory, threads, timers and waiting. Whatever it does not name answers ENOSYS, as on a kernel that
does not have it: namespaces, mounts, keys, bpf, io_uring, userfaultfd, perf events, pidfds, memory
files, System V IPC, other processes' memory, priorities and calls of later kernels. `clone3` is
among them: its flags lie in memory, where a filter cannot look, and the C library then takes
`clone`, whose flags it can.

A process can become no other and start none, so that a limit on its address space is a limit on
all its memory. Python itself has already started when the filter is set (see `launcher.py`).

Numbers of system calls: Linux, arch/x86/entry/syscalls/syscall_64.tbl and
include/uapi/asm-generic/unistd.h (aarch64). Layout of the instructions: linux/filter.h and
linux/seccomp.h.
"""

from __future__ import annotations

import errno
import struct

from instruct_scaling.common.errors import InputError

# Each entry: name, number on x86_64, number on aarch64 (- where it has none).

# Files: which of them can be opened is decided by bubblewrap or Landlock.
FILES = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, preadv2 327 286, pwritev2 328 287, sendfile 40 71, copy_file_range 326 285,
lseek 8 62, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -,
pipe2 293 59, open 2 -, openat 257 56, openat2 437 437, flock 73 32, fsync 74 82,
fdatasync 75 83, sync_file_range 277 84, ftruncate 77 46, fallocate 285 47, fadvise64 221 223,
readahead 187 213, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291,
statfs 137 43, fstatfs 138 44, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -,
readlinkat 267 78, getdents 78 -, getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50,
umask 95 166, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -, mkdirat 258 34,
rmdir 84 -, unlink 87 -, unlinkat 263 35, link 86 -, linkat 265 37, symlink 88 -,
symlinkat 266 36, getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11,
llistxattr 195 12, flistxattr 196 13
"""
# Waiting, events, and talking over a pair of sockets.
WAITING = """
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20,
epoll_ctl 233 21, epoll_wait 232 -, epoll_pwait 281 22, epoll_pwait2 441 441, eventfd 284 -,
eventfd2 290 19, signalfd 282 -, signalfd4 289 74, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87, sendto 44 206, recvfrom 45 207, sendmsg 46 211, recvmsg 47 212,
sendmmsg 307 269, recvmmsg 299 243, shutdown 48 210, getsockname 51 204, getpeername 52 205,
getsockopt 55 209
"""
# Memory of the process itself.
MEMORY = """
mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, mincore 27 232,
msync 26 227, brk 12 214, mlock 149 228, munlock 150 229, membarrier 324 283
"""
# Signals and timers of the process itself.
SIGNALS = """
rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigpending 127 136, rt_sigtimedwait 128 137,
rt_sigsuspend 130 133, rt_sigreturn 15 139, sigaltstack 131 132, pause 34 -, alarm 37 -,
getitimer 36 102, setitimer 38 103, timer_create 222 107, timer_settime 223 110,
timer_gettime 224 108, timer_getoverrun 225 109, timer_delete 226 111, restart_syscall 219 128
"""
# Threads, and how it ends.
THREADS = """
futex 202 98, futex_waitv 449 449, set_tid_address 218 96, set_robust_list 273 99,
get_robust_list 274 100, rseq 334 293, arch_prctl 158 -, sched_yield 24 124,
sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120,
sched_get_priority_max 146 125, sched_get_priority_min 147 126, sched_rr_get_interval 148 127,
getcpu 309 168, exit 60 93, exit_group 231 94, wait4 61 260, waitid 247 95
"""
# Facts about itself and the clock.
FACTS = """
getpid 39 172, getppid 110 173, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176,
getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158, getpgid 121 155,
getpgrp 111 -, getsid 124 156, getpriority 140 141, getrlimit 97 163, setrlimit 160 164,
getrusage 98 165, times 100 153, clock_gettime 228 113, clock_getres 229 114,
clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169, time 201 -, uname 63 160,
sysinfo 99 179, getrandom 318 278
"""
# Changes of files that Landlock does not see: allowed only where nothing outside can be reached.
METADATA = """
chmod 90 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, utime 132 -, utimes 235 -,
futimesat 261 -, utimensat 280 88, truncate 76 45
"""
# Answered with "not permitted", which Python reports as PermissionError.
REFUSED = """
execve 59 221, execveat 322 281, fork 57 -, vfork 58 -, socket 41 198, ptrace 101 117,
mknod 133 -, mknodat 259 33, tkill 200 130
"""
# Decided by their arguments, below.
BY_ARGUMENT = """
clone 56 220, clone3 435 435, socketpair 53 199, kill 62 129, tgkill 234 131, prctl 157 167,
prlimit64 302 261, fcntl 72 25, ioctl 16 29
"""

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # AUDIT_ARCH_*, linux/audit.h
X32_BIT = 0x40000000  # marks the calls of a second interface of x86_64
OWN_PID = 0x7FFF5049  # stands for the process's own number, which it writes in itself

CLONE_THREAD = 0x00010000
AF_UNIX, SOCK_STREAM = 1, 1
SOCKET_TYPE_BITS = 0xF  # the others are flags
# PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS
# and names of memory areas, which glibc sets. Not PR_SET_PDEATHSIG: it ends with its judge.
PROCESS_OPTIONS = (3, 15, 16, 21, 23, 39, 0x53564D41)
# F_SETOWN, F_SETSIG and F_SETOWN_EX send signals to other processes; F_SETLEASE and F_NOTIFY watch
# files; F_SETPIPE_SZ takes memory of the kernel.
DESCRIPTOR_COMMANDS_REFUSED = (8, 10, 15, 1024, 1026, 1031)
# TCGETS and TIOCGWINSZ (is it a terminal?), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
DEVICE_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)

_LOAD, _EQUAL, _AT_LEAST, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
_AND = 0x54
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000

Instruction = tuple[int, int, int, int]
"""Code, how many instructions to skip if true and if false, and the constant."""


def numbers(table: str, machine: str) -> dict[str, int]:
    """Name to number of the system calls of a table that a machine has."""
    column = 1 + list(ARCHITECTURES).index(machine)
    entries = [entry.split() for entry in table.replace("\n", " ").split(",")]
    return {entry[0]: int(entry[column]) for entry in entries if entry[column] != "-"}


def system_call_filter(machine: str, *, metadata: bool) -> bytes:
    """The filter for a kind of machine: 8 bytes for each instruction.

    `OWN_PID` in it has to be replaced by the process's number before it is set.

    Args:
        machine: as `platform.machine()` says.
        metadata: whether modes and times of files may be changed, and files truncated by path.

    Raises:
        InputError: a machine whose numbers are not known here.
    """
    if machine not in ARCHITECTURES:
        raise InputError(
            f"no filter of system calls for {machine} processors",
            fix=f"judge programs on {' or '.join(ARCHITECTURES)}",
        )
    allowed = [FILES, WAITING, MEMORY, SIGNALS, THREADS, FACTS]
    if metadata:
        allowed.append(METADATA)
    instructions = _of_this_machine(machine)
    refused = set(numbers(REFUSED, machine).values())
    if not metadata:
        refused |= set(numbers(METADATA, machine).values())
    for number in sorted(refused):
        instructions += [(_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    by_argument = numbers(BY_ARGUMENT, machine)
    for name, check in _checks().items():
        instructions += [(_EQUAL, 0, len(check), by_argument[name]), *check]
    free = {number for table in allowed for number in numbers(table, machine).values()}
    for first, last in _ranges(free):
        instructions += [(_AT_LEAST, 0, 2, first), (_ABOVE, 1, 0, last), _answer(_ALLOW)]
    instructions.append(_refuse(errno.ENOSYS))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


def _of_this_machine(machine: str) -> list[Instruction]:
    """Calls by another architecture's interface end the process; then the number is loaded."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, ARCHITECTURES[machine]),
        _answer(_KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, X32_BIT),
        _refuse(errno.ENOSYS),
    ]


def _checks() -> dict[str, list[Instruction]]:
    """What is asked of the arguments of a call: instructions that end in an answer.

    The kernel reads each of these arguments as 32 bits, so the upper half decides nothing.
    """
    return {
        "clone": [
            _load_argument(0),
            (_ANY_BIT, 0, 1, CLONE_THREAD),
            _answer(_ALLOW),
            _refuse(errno.EPERM),
        ],
        # Only streams: a pair for datagrams can send to any other socket of the machine.
        "socketpair": [
            _load_argument(0),
            (_EQUAL, 0, 4, AF_UNIX),
            _load_argument(1),
            (_AND, 0, 0, SOCKET_TYPE_BITS),
            (_EQUAL, 0, 1, SOCK_STREAM),
            _answer(_ALLOW),
            _refuse(errno.EPERM),
        ],
        "kill": _only(0, (OWN_PID,), errno.EPERM),
        "tgkill": _only(0, (OWN_PID,), errno.EPERM),
        "prlimit64": _only(0, (0, OWN_PID), errno.EPERM),
        "prctl": _only(0, PROCESS_OPTIONS, errno.EPERM),
        "ioctl": _only(1, DEVICE_REQUESTS, errno.ENOTTY),
        "fcntl": _never(1, DESCRIPTOR_COMMANDS_REFUSED, errno.EPERM),
    }


def _only(argument: int, values: tuple[int, ...], error: int) -> list[Instruction]:
    compared = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_load_argument(argument), *compared, _refuse(error), _answer(_ALLOW)]


def _never(argument: int, values: tuple[int, ...], error: int) -> list[Instruction]:
    compared = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [_load_argument(argument), *compared, _answer(_ALLOW), _refuse(error)]


def _load_argument(argument: int) -> Instruction:
    return (
        _LOAD,
        0,
        0,
        _ARGUMENTS + 8 * argument,
    )  # its lower half: both machines are little-endian


def _answer(action: int) -> Instruction:
    return (_RETURN, 0, 0, action)


def _refuse(error: int) -> Instruction:
    return _answer(_ERRNO | error)


def _ranges(values: set[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers: (first, last)."""
    runs: list[tuple[int, int]] = []
    for value in sorted(values):
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs
