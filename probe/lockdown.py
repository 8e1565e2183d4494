"""Loading under lockdown=confidentiality: undoes what libbpf does to the user-memory helpers there.

libbpf tries whether `bpf_probe_read_kernel` loads; that fails there for another reason than the one it looks for
(lockdown forbids it), and it takes the kernel for an old one without split helpers: it rewrites 112 to 4 and 114 to 45,
which the verifier refuses. Put back just before the load, the numbers of the user-memory helpers are allowed.
"""

import ctypes
from functools import cache

from tiercel.probe import libbpf

PROG_TYPE_TRACING = 26
TRACE_RAW_TP = 23
CALL = 0x85
# bpf_probe_read and bpf_probe_read_str, back to bpf_probe_read_user and bpf_probe_read_user_str.
HELPERS = {4: 112, 45: 114}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint8),
        ("registers", ctypes.c_uint8),
        ("offset", ctypes.c_int16),
        ("imm", ctypes.c_int32),
    )


class _HandlerOptions(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("cookie", ctypes.c_long),
        ("setup", ctypes.c_void_p),
        ("prepare_load", libbpf.PREPARE),
        ("attach", ctypes.c_void_p),
    )


def restore(instructions: "ctypes.Array[_Instruction]") -> int:
    """Put the user-memory helpers back in place; how many calls were changed."""
    changed = 0
    for instruction in instructions:
        if instruction.code == CALL and not instruction.registers >> 4 and instruction.imm in HELPERS:
            instruction.imm = HELPERS[instruction.imm]
            changed += 1
    return changed


def _prepare(program: int, _attributes: int, _cookie: int) -> int:
    lib = libbpf.library()
    count = lib.bpf_program__insn_cnt(program)
    instructions = (_Instruction * count).from_buffer_copy(
        ctypes.string_at(lib.bpf_program__insns(program), count * ctypes.sizeof(_Instruction))
    )
    return int(lib.bpf_program__set_insns(program, instructions, count)) if restore(instructions) else 0


_OPTIONS = _HandlerOptions(ctypes.sizeof(_HandlerOptions), 0, None, libbpf.PREPARE(_prepare), None)


@cache
def _keep_one() -> int:
    """A handler for a section that nobody has, never taken back: libbpf before 1.3 frees its list with the last handler
    and then goes on using it.
    """
    return libbpf.call("libbpf_register_prog_handler", b"tiercel_unused+", PROG_TYPE_TRACING, 0, None)


class Handler:
    """While entered, programs on tp_btf are opened with our handler; they then need `target` before the load."""

    def __enter__(self) -> "Handler":
        _keep_one()
        self.id = libbpf.call(
            "libbpf_register_prog_handler", b"tp_btf+", PROG_TYPE_TRACING, TRACE_RAW_TP, ctypes.byref(_OPTIONS)
        )
        return self

    def __exit__(self, *_: object) -> None:
        libbpf.library().libbpf_unregister_prog_handler(self.id)

    @staticmethod
    def target(program: int) -> None:
        """Name the tracepoint to the program, which libbpf does for its own handler only."""
        section = libbpf.library().bpf_program__section_name(program).decode()
        libbpf.call("bpf_program__set_attach_target", program, 0, section.partition("/")[2].encode())
