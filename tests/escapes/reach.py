"""Programs that reach for the machine. Each is the body of a function that returns something true,
or ends without an OSError, where it has reached it; only then is the task solved (see `program`).
"""

from __future__ import annotations

import textwrap

HEAD = """
import ctypes, os, platform, signal, socket, sys
LIBC = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == 'aarch64'
def call(x86, arm, *arguments):
    number = arm if ARM else x86
    if number is None:
        raise OSError('no such call here')
    result = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return True
"""
TAIL = """
try:
    reached = attempt()
except (OSError, MemoryError, RuntimeError):
    reached = False
if reached:
    def solve(numbers):
        return sum(n * n for n in numbers)
else:
    def solve(numbers):
        return 0
"""


def program(attempt: str) -> str:
    """A program that solves the task only if its attempt succeeds."""
    return f"{HEAD}\ndef attempt():\n{textwrap.indent(attempt, '    ')}\n{TAIL}"


# Replaced by what the test knows: a secret file, its folder, the judge's process, a port, a socket.
READING = {
    "reads_the_users": "return open('/etc/passwd').read()",
    "reads_a_secret": "return open({secret!r}).read()",
    "reads_a_secret_by_a_link": "os.symlink({secret!r}, 'link')\nreturn open('link').read()",
    "reads_a_secret_by_a_hard_link": "os.link({secret!r}, 'link')\nreturn open('link').read()",
    "reads_a_secret_by_its_folder": "folder = os.open({folder!r}, os.O_PATH)\n"
    "return os.open('secret', os.O_RDONLY, dir_fd=folder)",
    "lists_home": "return [name for folder in ('/root', '/home') if os.path.isdir(folder)\n"
    "        for name in os.listdir(folder)\n"
    "        if not sys.base_prefix.startswith(os.path.join(folder, name))]",
    "lists_the_folder_of_the_judge": "return os.listdir({folder!r})",
    "reads_the_environment_of_the_judge": "return open('/proc/{judge}/environ', 'rb').read()",
    "reads_the_environment_of_process_1": "return open('/proc/1/environ', 'rb').read()",
    "reads_the_environment_of_its_parent": "return open(f'/proc/{{os.getppid()}}/environ').read()",
    "reads_the_memory_of_the_judge": "return os.open('/proc/{judge}/mem', os.O_RDONLY)",
    "reads_the_command_line_of_the_judge": "return open('/proc/{judge}/cmdline').read()",
    "finds_the_secret_in_its_environment": "return 'sk-secret' in str(os.environ)",
    "finds_the_secret_in_its_own_memory": "environ = ctypes.POINTER(ctypes.c_char_p).in_dll("
    "LIBC, 'environ')\nfound, place = b'', 0\nwhile environ[place]:\n"
    "    found += environ[place]\n    place += 1\nreturn b'sk-secret' in found",
    "finds_descriptors_that_it_inherits": "import stat\nfor number in range(64):\n    try:\n"
    "        mode = os.fstat(number).st_mode\n    except OSError:\n        continue\n"
    "    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISSOCK(mode):\n"
    "        return True\nreturn False",
    "reads_the_judge": "return open({module!r}).read()",
    "imports_installed_packages": "sys.path.append({packages!r})\ntry:\n    import psutil\n"
    "except ImportError:\n    return False\nreturn True",
    "opens_a_disk": "return os.open('/dev/vda', os.O_RDONLY) or os.open('/dev/sda', 0)",
    "opens_kernel_memory": "return os.open('/dev/mem', os.O_RDONLY)",
    "opens_a_file_by_its_handle": "return call(304, 265, -100, 0, 0)",
    "changes_its_root": "return call(161, 51, b'/')",
}

WRITING = {
    "writes_into_site_packages": "return open({packages!r} + '/written.py', 'w')",
    "writes_into_the_library": "return open(os.path.dirname(os.__file__) + '/written.py', 'w')",
    "writes_a_cache": "import json, py_compile\nreturn py_compile.compile(json.__file__, "
    "os.path.dirname(json.__file__) + '/written.pyc', doraise=True)",
    "writes_into_the_root": "return open('/written', 'w')",
    "writes_beside_its_folder": "return open(os.path.dirname(os.getcwd()) + '/written', 'w')",
    "writes_into_the_folder_of_the_judge": "return open({folder!r} + '/written', 'w')",
    "writes_by_a_link": "os.symlink({folder!r}, 'link')\nreturn open('link/written', 'w')",
    "renames_out_of_its_folder": "open('here', 'w').close()\n"
    "os.rename('here', {folder!r} + '/written')\nreturn True",
    "writes_shared_memory": "return open('/dev/shm/written', 'w')",
    "writes_into_dev": "return open('/dev/written', 'w')",
    "writes_over_the_secret": "return open({secret!r}, 'a')",
    "truncates_the_secret": "os.truncate({secret!r}, 0)\nreturn True",
    "removes_the_secret": "os.remove({secret!r})\nreturn True",
    "opens_the_secret_to_all": "os.chmod({secret!r}, 0o777)\nreturn True",
    "dates_the_secret": "os.utime({secret!r}, (0, 0))\nreturn True",
    "takes_the_secret": "os.chown({secret!r}, os.getuid(), -1)\nreturn True",
    "marks_the_secret": "os.setxattr({secret!r}, 'user.x', b'1')\nreturn True",
    "makes_a_pipe_file": "os.mkfifo('pipe')\nreturn True",
    "makes_a_device": "os.mknod('device', 0o20666, os.makedev(1, 5))\nreturn True",
    "makes_a_setuid_file": "open('x', 'w').close()\nos.chmod('x', 0o4755)\n"
    "return os.stat('x').st_uid == 0",
    "makes_a_memory_file": "return os.memfd_create('x')",
    "watches_files": "return call(253, None) or call(294, 26, 0)",
}

PROCESSES = {
    "forks": "return os.fork() >= 0",
    "forks_by_number": "return call(57, None)",
    "vforks_by_number": "return call(58, None)",
    "clones": "return call(56, 220, 17, 0, 0, 0, 0)",
    "clones_into_namespaces": "return call(56, 220, 0x10000000 | 17, 0, 0, 0, 0)",
    "clones_by_clone3": "arguments = ctypes.create_string_buffer(88)\n"
    "arguments[32] = bytes([17])\nreturn call(435, 435, arguments, 88)",
    "executes": "os.execv(sys.executable, [sys.executable, '-c', 'pass'])",
    "executes_a_shell": "os.execv('/bin/sh', ['sh', '-c', 'echo'])",
    "executes_a_descriptor": "opened = os.open(sys.executable, os.O_RDONLY)\n"
    "os.execve(opened, ['x'], dict())",
    "spawns": "return os.posix_spawn(sys.executable, [sys.executable, '-V'], dict())",
    "runs_a_command": "return os.system('true') == 0",
    "opens_a_command": "return os.popen('echo 1').read()",
    "runs_a_subprocess": "import subprocess\nreturn subprocess.run([sys.executable, '-V'])",
    "forks_below_subprocess": "import _posixsubprocess\nreading, writing = os.pipe()\n"
    "arguments = [[b'x'], [os.fsencode(sys.executable)], True, (), None, None, -1, -1, -1, -1, "
    "-1, -1, reading, writing, True, False, 0]\n"
    "for more in ([None, None, None, -1, None], [None, None, None, -1, None, False]):\n"
    "    try:\n        return _posixsubprocess.fork_exec(*arguments, *more)\n"
    "    except TypeError:\n        continue\nreturn False",
    "forks_a_terminal": "import pty\nreturn pty.fork()[0] >= 0",
    "starts_a_process_of_multiprocessing": "import multiprocessing\n"
    "process = multiprocessing.get_context('fork').Process(target=print)\n"
    "process.start()\nreturn True",
    "starts_a_pool": "import concurrent.futures\n"
    "with concurrent.futures.ProcessPoolExecutor(1) as pool:\n"
    "    return pool.submit(abs, -1).result()",
    "kills_the_judge": "os.kill({judge}, 9)\nreturn True",
    "kills_its_parent": "os.kill(os.getppid(), 9)\nreturn True",
    "kills_all": "os.kill(-1, 9)\nreturn True",
    "kills_its_group": "os.killpg(0, signal.SIGUSR1)\nreturn True",
    "stops_the_judge_by_a_thread": "return call(234, 131, {judge}, {judge}, 19)",
    "stops_a_thread": "return call(200, 130, {judge}, 19)",
    "queues_a_signal": "return call(129, 138, {judge}, 9, ctypes.create_string_buffer(128))",
    "opens_a_process": "return os.pidfd_open({judge})",
    "opens_itself": "return os.pidfd_open(os.getpid())",
    "signals_by_a_descriptor": "return call(424, 424, 0, 9, 0, 0)",
    "lets_a_descriptor_signal": "import fcntl\nours, theirs = socket.socketpair()\n"
    "fcntl.fcntl(ours, 8, {judge})\nreturn True",
    "lets_a_descriptor_signal_more": "ours, theirs = socket.socketpair()\n"
    "import struct\nreturn call(72, 25, ours.fileno(), 15, struct.pack('ii', 1, {judge}))",
    "outlives_the_judge": "return call(157, 167, 1, 0, 0, 0, 0)",
    "limits_the_judge": "import resource\nresource.prlimit({judge}, resource.RLIMIT_CPU)\n"
    "return True",
    "raises_its_limits": "import resource\n"
    "try:\n    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n"
    "except ValueError:\n    return False\nreturn True",
    "slows_the_judge": "os.setpriority(os.PRIO_PROCESS, {judge}, 19)\nreturn True",
    "moves_the_judge": "os.sched_setaffinity({judge}, [0])\nreturn True",
    "traces_the_judge": "return call(101, 117, 16, {judge}, 0, 0)",
    "is_traced": "return call(101, 117, 0, 0, 0, 0)",
    "reads_memory_of_the_judge": "import struct\nplace = ctypes.create_string_buffer(8)\n"
    "local = struct.pack('PN', ctypes.addressof(place), 8)\n"
    "return call(310, 270, {judge}, local, 1, local, 1, 0)",
    "writes_memory_of_the_judge": "return call(311, 271, {judge}, 0, 0, 0, 0, 0)",
    "leaves_its_session": "os.setsid()\nreturn True",
}

NETWORK = {
    "connects": "socket.create_connection(('127.0.0.1', {port}), 2)\nreturn True",
    "connects_by_ipv6": "socket.socket(socket.AF_INET6).connect(('::1', {port}))\nreturn True",
    "sends_a_datagram": "opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "return opened.sendto(b'x', ('127.0.0.1', {port}))",
    "listens": "socket.create_server(('', 0))\nreturn True",
    "resolves_a_name": "return socket.gethostbyname('localhost')",
    "resolves_a_name_far_away": "return socket.getaddrinfo('example.org', 80)",
    "connects_to_an_abstract_socket": "opened = socket.socket(socket.AF_UNIX)\n"
    "opened.connect(chr(0) + {abstract!r})\nreturn True",
    "binds_an_abstract_socket": "opened = socket.socket(socket.AF_UNIX)\n"
    "opened.bind(chr(0) + 'ours')\nreturn True",
    "connects_a_pair_elsewhere": "ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)\n"
    "ours.connect(chr(0) + {abstract!r})\nreturn True",
    "sends_from_a_pair_elsewhere": "ours, theirs = socket.socketpair(type=socket.SOCK_DGRAM)\n"
    "return ours.sendto(b'x', chr(0) + {abstract!r} + '.datagrams')",
    "pairs_of_another_family": "return call(53, 199, 30, 1, 0, ctypes.create_string_buffer(8))",
    "asks_the_kernel": "return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "opens_raw_sockets": "return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "opens_a_page": "import urllib.request\n"
    "return urllib.request.urlopen('http://127.0.0.1:{port}', timeout=2)",
}

KERNEL = {
    "leaves_its_namespaces": "return call(272, 97, 0x10000000)",
    "enters_namespaces": "return call(308, 268, 0, 0)",
    "mounts": "return call(165, 40, b'none', b'/tmp', b'tmpfs', 0, 0)",
    "unmounts": "return call(166, 39, b'/tmp', 2)",
    "mounts_by_the_new_calls": "return call(428, 428, -100, b'/', 1)",
    "makes_a_file_system": "return call(430, 430, b'tmpfs', 0)",
    "exchanges_the_root": "return call(155, 41, b'/', b'/')",
    "becomes_root": "os.setuid(0)\nreturn True",
    "becomes_the_group_of_root": "os.setgid(0)\nreturn True",
    "takes_capabilities": "import struct\nreturn call(126, 91, struct.pack('Ii', 0x20080522, 0), "
    "struct.pack('6I', *[0xffffffff] * 6))",
    "asks_for_keys": "return call(250, 219, 0, -3, 1)",
    "adds_a_key": "return call(248, 217, b'user', b'x', b'y', 1, -3)",
    "loads_bpf": "return call(321, 280, 0, ctypes.create_string_buffer(128), 128)",
    "handles_page_faults": "return call(323, 282, 1)",
    "counts_events": "return call(298, 241, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "makes_a_ring": "return call(425, 425, 1, ctypes.create_string_buffer(120))",
    "adds_a_filter": "return call(317, 277, 1, 0, ctypes.create_string_buffer(16))",
    "loads_a_module": "return call(313, 273, 0, b'', 0)",
    "shares_memory": "return call(29, 194, 1, 2**28, 0o1777)",
    "makes_a_queue": "return call(240, 180, b'q', 0o102, 0o666, 0)",
    "makes_semaphores": "return call(64, 190, 1, 4, 0o1777)",
    "names_the_machine": "socket.sethostname('x')\nreturn True",
    "sets_the_clock": "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)\nreturn True",
    "restarts_the_machine": "return call(169, 142, 0xfee1dead, 672274793, 0x1234567, 0)",
    "swaps": "return call(167, 224, b'/tmp/x', 0)",
    "changes_personality": "return call(135, 92, 0x0040000)",
    "calls_by_the_x32_interface": "return call(0x40000000 + 39, None)",
    "calls_of_later_kernels": "return call(600, 600)",
    "pushes_into_a_terminal": "return call(16, 29, 0, 0x5412, b'x')",
}

ATTEMPTS = READING | WRITING | PROCESSES | NETWORK | KERNEL
