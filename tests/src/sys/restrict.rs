//! Starting commands with less than root has: capabilities, users, files, system calls.

use std::{ffi::CStr, io, os::unix::process::CommandExt, process::Command, ptr};

/// `linux/capability.h`
pub const CAP_SYS_ADMIN: u32 = 21;
/// Likewise.
pub const CAP_PERFMON: u32 = 38;
/// Likewise.
pub const CAP_BPF: u32 = 39;

/// The call's result, or the reason why it failed.
fn checked(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes the command begin with this signal ignored, as `nohup` does, or with its default.
pub fn ignoring(command: &mut Command, signal: i32, is_ignored: bool) {
    // SAFETY: between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(move || {
            let disposition = if is_ignored {
                libc::SIG_IGN
            } else {
                libc::SIG_DFL
            };
            libc::signal(signal, disposition);
            Ok(())
        });
    }
}

/// Makes the command run with these capabilities and no other, though it is root's.
pub fn with_capabilities_only(command: &mut Command, kept: &'static [u32]) {
    // SAFETY: between fork and exec only prctl is called.
    unsafe {
        command.pre_exec(move || {
            for capability in (0..64).filter(|capability| !kept.contains(capability)) {
                let dropped = libc::prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0, 0, 0);
                // The first that this kernel does not have.
                if dropped < 0 && *libc::__errno_location() == libc::EINVAL {
                    break;
                }
                checked(dropped)?;
            }
            Ok(())
        });
    }
}

/// `struct __user_cap_header_struct`, `linux/capability.h`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; the first of two holds capabilities 0 to 31.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Makes the command run as an ordinary user who has these capabilities.
pub fn as_user(command: &mut Command, user: u32, held: &'static [u32]) {
    let mut sets = [CapabilitySets::default(); 2];
    for capability in held {
        let set = &mut sets[(capability / 32) as usize];
        set.permitted |= 1 << (capability % 32);
    }
    for set in &mut sets {
        (set.effective, set.inheritable) = (set.permitted, set.permitted);
    }
    // SAFETY: between fork and exec only system calls on values of this closure are made.
    unsafe {
        command.pre_exec(move || {
            let header = CapabilityHeader {
                version: CAPABILITY_VERSION_3,
                pid: 0,
            };
            checked(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0))?;
            checked(libc::setgroups(0, ptr::null()))?;
            checked(libc::setresgid(user, user, user))?;
            checked(libc::setresuid(user, user, user))?;
            checked(libc::syscall(
                libc::SYS_capset,
                &raw const header,
                sets.as_ptr(),
            ))?;
            for capability in held {
                let (raise, which) = (libc::PR_CAP_AMBIENT_RAISE, u64::from(*capability));
                checked(libc::prctl(libc::PR_CAP_AMBIENT, raise, which, 0, 0))?;
            }
            Ok(())
        });
    }
}

/// Makes a system call fail with `EPERM` for the command, as a container's sandbox may.
pub fn forbidding(command: &mut Command, call: libc::c_long) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let load_number = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0);
    let unless_it = libc::sock_filter {
        jf: 1,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32)
    };
    let refuse = statement(
        libc::BPF_RET | libc::BPF_K,
        libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
    );
    let allow = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW);
    let mut filter = [load_number, unless_it, refuse, allow];
    // SAFETY: between fork and exec only prctl is called, on a filter that the closure owns.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog {
                len: filter.len() as u16,
                filter: filter.as_mut_ptr(),
            };
            checked(libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ))
        });
    }
}

/// Makes the command see an empty directory in place of `path`.
pub fn hiding(command: &mut Command, path: &'static CStr) {
    const NONE: &CStr = c"none";
    const TMPFS: &CStr = c"tmpfs";
    // SAFETY: between fork and exec only system calls on constant strings are made; the mounts
    // are seen by the command alone, in a mount namespace of its own.
    unsafe {
        command.pre_exec(move || {
            let private = libc::MS_REC | libc::MS_PRIVATE;
            if libc::unshare(libc::CLONE_NEWNS) < 0
                || libc::mount(
                    NONE.as_ptr(),
                    c"/".as_ptr(),
                    ptr::null(),
                    private,
                    ptr::null(),
                ) < 0
                || libc::mount(NONE.as_ptr(), path.as_ptr(), TMPFS.as_ptr(), 0, ptr::null()) < 0
            {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}
