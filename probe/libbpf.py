"""Debian's libbpf through ctypes: the calls that core.py makes, with their types, and libbpf's log kept in memory.

Nothing here decides anything; a call that fails raises OSError with the kernel's errno.
"""

import ctypes
import mmap
import os
from collections import deque
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from functools import cache

BTF_KIND_TYPEDEF = 8
BTF_KIND_FUNC = 12
BTF_KIND_DATASEC = 15
MAP_TYPE_RINGBUF = 27
MAP_TYPE_TASK_STORAGE = 29
LOG_LINES = 400
LOG_BYTES = 17 << 20  # libbpf gives a verifier's log of up to 16 MiB in one message; what it says last is the reason

_PRINT = CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
PREPARE = CFUNCTYPE(c_int, c_void_p, c_void_p, ctypes.c_long)

# (name, result, arguments)
_CALLS: tuple[tuple[str, object, tuple[object, ...]], ...] = (
    ("bpf_object__open_file", c_void_p, (c_char_p, c_void_p)),
    ("bpf_object__load", c_int, (c_void_p,)),
    ("bpf_object__close", None, (c_void_p,)),
    ("bpf_object__btf", c_void_p, (c_void_p,)),
    ("bpf_object__find_map_by_name", c_void_p, (c_void_p, c_char_p)),
    ("bpf_object__find_program_by_name", c_void_p, (c_void_p, c_char_p)),
    ("bpf_object__next_program", c_void_p, (c_void_p, c_void_p)),
    ("bpf_map__fd", c_int, (c_void_p,)),
    ("bpf_map__set_max_entries", c_int, (c_void_p, c_uint32)),
    ("bpf_map__set_autocreate", c_int, (c_void_p, ctypes.c_bool)),
    ("bpf_map__initial_value", c_void_p, (c_void_p, POINTER(c_size_t))),
    ("bpf_obj_get", c_int, (c_char_p,)),
    ("bpf_map__pin", c_int, (c_void_p, c_char_p)),
    ("bpf_program__name", c_char_p, (c_void_p,)),
    ("bpf_program__fd", c_int, (c_void_p,)),
    ("bpf_program__section_name", c_char_p, (c_void_p,)),
    ("bpf_program__set_attach_target", c_int, (c_void_p, c_int, c_char_p)),
    ("bpf_program__attach_trace", c_void_p, (c_void_p,)),
    ("bpf_program__insns", c_void_p, (c_void_p,)),
    ("bpf_program__insn_cnt", c_size_t, (c_void_p,)),
    ("bpf_program__set_insns", c_int, (c_void_p, c_void_p, c_size_t)),
    ("bpf_link__destroy", c_int, (c_void_p,)),
    ("bpf_map_create", c_int, (c_int, c_char_p, c_uint32, c_uint32, c_uint32, c_void_p)),
    ("bpf_map_update_elem", c_int, (c_int, c_void_p, c_void_p, c_uint64)),
    ("bpf_map_lookup_elem", c_int, (c_int, c_void_p, c_void_p)),
    ("libbpf_num_possible_cpus", c_int, ()),
    ("libbpf_register_prog_handler", c_int, (c_char_p, c_int, c_int, c_void_p)),
    ("libbpf_unregister_prog_handler", c_int, (c_int,)),
    ("libbpf_probe_bpf_prog_type", c_int, (c_int, c_void_p)),
    ("libbpf_set_print", c_void_p, (_PRINT,)),
    ("libbpf_version_string", c_char_p, ()),
    ("libbpf_probe_bpf_map_type", c_int, (c_int, c_void_p)),
    ("btf__load_vmlinux_btf", c_void_p, ()),
    ("btf__find_by_name_kind", c_int, (c_void_p, c_char_p, c_uint32)),
    ("btf__type_by_id", c_void_p, (c_void_p, c_uint32)),
    ("btf__name_by_offset", c_char_p, (c_void_p, c_uint32)),
    ("btf__free", None, (c_void_p,)),
)

log: deque[str] = deque(maxlen=LOG_LINES)
_callbacks: list[object] = []  # libbpf keeps their addresses


class _BtfType(ctypes.Structure):
    _fields_ = (("name_off", c_uint32), ("info", c_uint32), ("size", c_uint32))


class _SectionVariable(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("offset", c_uint32), ("size", c_uint32))


@cache
def library() -> ctypes.CDLL:
    """libbpf 1.x; OSError where it is not installed."""
    lib = ctypes.CDLL("libbpf.so.1", use_errno=True)
    for name, result, arguments in _CALLS:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    libc = ctypes.CDLL(None)
    libc.vsnprintf.argtypes = (c_char_p, c_size_t, c_char_p, c_void_p)

    # Anonymous memory, so that only what a message fills is there.
    buffer = (ctypes.c_char * LOG_BYTES).from_buffer(mmap.mmap(-1, LOG_BYTES))

    def keep(_level: int, text: bytes, arguments: int) -> int:
        libc.vsnprintf(buffer, len(buffer), text, arguments)
        log.extend(buffer.value.decode(errors="replace").rstrip().splitlines())
        return 0

    _callbacks.append(_PRINT(keep))
    lib.libbpf_set_print(_callbacks[-1])
    return lib


def call(name: str, *arguments: object) -> int:
    """A libbpf call that returns a number or pointer; a negative number or NULL raises OSError."""
    ctypes.set_errno(0)
    result = getattr(library(), name)(*arguments)
    if result is None or result < 0:
        code = -result if result else ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)


def update(fd: int, key: int, value: object) -> None:
    """Set an element of a map with u32 keys; `value` is any ctypes object."""
    call("bpf_map_update_elem", fd, byref(c_uint32(key)), ctypes.byref(value), 0)  # type: ignore[arg-type]


def lookup(fd: int, key: int, value: object) -> None:
    """Read an element of a map with u32 keys into `value`, any ctypes object."""
    call("bpf_map_lookup_elem", fd, byref(c_uint32(key)), ctypes.byref(value))  # type: ignore[arg-type]


def has_task_storage() -> bool:
    """Whether the kernel can keep something on a task."""
    return bool(library().libbpf_probe_bpf_map_type(MAP_TYPE_TASK_STORAGE, None) == 1)


def variables(btf: int, section: str) -> dict[str, tuple[int, int]]:
    """Offset and size of each variable of a data section of the object."""
    lib = library()
    number = call("btf__find_by_name_kind", btf, section.encode(), BTF_KIND_DATASEC)
    address = lib.btf__type_by_id(btf, number)
    count = _BtfType.from_address(address).info & 0xFFFF
    out = {}
    for row in (_SectionVariable * count).from_address(address + ctypes.sizeof(_BtfType)):
        name_off = _BtfType.from_address(lib.btf__type_by_id(btf, row.type)).name_off
        out[lib.btf__name_by_offset(btf, name_off).decode()] = (row.offset, row.size)
    return out


def kernel_has_function(name: str) -> bool:
    """Whether the kernel's type information names a function."""
    return _kernel_has(name, BTF_KIND_FUNC)


def kernel_has_type(name: str) -> bool:
    """Whether the kernel's type information names a typedef."""
    return _kernel_has(name, BTF_KIND_TYPEDEF)


def _kernel_has(name: str, kind: int) -> bool:
    lib = library()
    btf = lib.btf__load_vmlinux_btf()
    if not btf:
        return False
    try:
        return bool(lib.btf__find_by_name_kind(btf, name.encode(), kind) > 0)
    finally:
        lib.btf__free(btf)
