//! Whether this kernel lets programs attach to functions: found out by attaching the smallest one.
//! (Some kernels have all that is needed and refuse.)

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Two instructions: `r0 = 0; exit`.
const RETURN_ZERO: [u64; 2] = [0xb7, 0x95];
const LICENSE: &[u8] = b"GPL\0";

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_RAW_TRACEPOINT_OPEN: libc::c_long = 17;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_FENTRY: u32 = 24;

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads, up to `attach_btf_id`.
#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log: [u64; 2],
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    prog_btf_fd: u32,
    func_info_rec_size: u32,
    func_info: u64,
    func_info_cnt: u32,
    line_info_rec_size: u32,
    line_info: u64,
    line_info_cnt: u32,
    attach_btf_id: u32,
}

const _: () = assert!(std::mem::offset_of!(Load, attach_btf_id) == 108);

/// The part that `BPF_RAW_TRACEPOINT_OPEN` reads, by which such programs are attached too.
#[repr(C)]
struct Open {
    name: u64,
    prog_fd: u32,
    reserved: u32,
}

/// Attaches a program to the function with this BTF id, and takes it away again.
///
/// # Errors
///
/// With the kernel's reason if it refuses.
pub fn probe(function: u32) -> io::Result<()> {
    let load = Load {
        prog_type: BPF_PROG_TYPE_TRACING,
        insn_cnt: RETURN_ZERO.len() as u32,
        insns: RETURN_ZERO.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        expected_attach_type: BPF_TRACE_FENTRY,
        attach_btf_id: function,
        ..Load::default()
    };
    let program = call(BPF_PROG_LOAD, &load)?;
    let open = Open {
        name: 0,
        prog_fd: program.as_raw_fd() as u32,
        reserved: 0,
    };
    call(BPF_RAW_TRACEPOINT_OPEN, &open).map(drop)
}

/// `bpf(2)` with one of the structs above, for calls that give a descriptor.
fn call<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attributes` and what it points to live through the call, which only reads them.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that the call has just made and nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}
