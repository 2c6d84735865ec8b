//! Processes: the ways to make one, to end one, and to reach into one.

use std::{
    ffi::{CStr, CString, c_int, c_void},
    ptr,
};

use super::{done, memory::Map};

/// How a process ended and what it used, as `wait4` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Exit code; 128 + n for a signal.
    pub code: i32,
    /// What it used, with its waited-for descendants.
    pub usage: Usage,
}

/// What the kernel says a process used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// `ru_maxrss`.
    pub max_rss_bytes: u64,
    /// `ru_minflt`.
    pub minor_faults: u64,
    /// `ru_majflt`.
    pub major_faults: u64,
}

impl Usage {
    fn from_kernel(raw: &libc::rusage) -> Self {
        Self {
            max_rss_bytes: raw.ru_maxrss as u64 * 1024,
            minor_faults: raw.ru_minflt as u64,
            major_faults: raw.ru_majflt as u64,
        }
    }

    /// Of the calling process so far (`RUSAGE_SELF`).
    pub fn of_self() -> Self {
        // SAFETY: an all-zero rusage is a value, and the call only writes to it.
        let raw = unsafe {
            let mut raw: libc::rusage = std::mem::zeroed();
            done(libc::getrusage(libc::RUSAGE_SELF, &mut raw), "getrusage");
            raw
        };
        Self::from_kernel(&raw)
    }
}

/// Ends the process at once: no destructors, nothing flushed, no page touched.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Ends the process when a child's work unwinds, so that it never runs on as its parent.
struct NoReturn;

impl Drop for NoReturn {
    fn drop(&mut self) {
        exit_now(101)
    }
}

fn run_child(work: impl FnOnce() -> i32) -> ! {
    let _guard = NoReturn;
    exit_now(work())
}

/// Lets the caller die with its parent: a workload that a failed test kills leaves nobody behind.
fn die_with_parent() {
    // SAFETY: reaches no memory.
    done(
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) },
        "PR_SET_PDEATHSIG",
    );
}

/// Forks a child that does `work` and exits with its result, or dies with the calling thread.
/// Where other threads run, `work` must keep to this module's calls.
pub fn fork(work: impl FnOnce() -> i32) -> u32 {
    fork_to_outlive(|| {
        die_with_parent();
        work()
    })
}

/// The same for a child that may outlive its parent.
pub fn fork_to_outlive(work: impl FnOnce() -> i32) -> u32 {
    // SAFETY: the child runs `work` and never returns from here.
    match done(unsafe { libc::fork() }, "fork") {
        0 => run_child(work),
        pid => pid as u32,
    }
}

/// Forks a child with a given PID, which must be free.
pub fn fork_as(pid: u32, work: impl FnOnce() -> i32) -> u32 {
    let wanted = pid as libc::pid_t;
    // SAFETY: all zeros are a value: nothing asked for.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = &raw const wanted as u64;
    args.set_tid_size = 1;
    // SAFETY: like fork: the child has a copy of everything and never returns from here.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            std::mem::size_of::<libc::clone_args>(),
        )
    };
    match done(result, "clone3 with a chosen PID") {
        0 => run_child(work),
        pid => pid as u32,
    }
}

/// How a process that shares its parent's space is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// `CLONE_VM | CLONE_VFORK`, what `vfork` does: the parent sleeps until the child exits or
    /// execs.
    Vfork,
    /// `CLONE_VM` alone: both run.
    Both,
}

/// Runs `work` in a process that shares this one's space and `during` in this one, then waits for
/// the child. As the two also share their thread-local storage, `work` and `during` must not both
/// do more at a time than wait and touch memory.
pub fn share_space<T>(
    how: Sharing,
    stack: &Map,
    work: &(dyn Fn() -> i32 + Sync),
    during: impl FnOnce(u32) -> T,
) -> (T, Waited) {
    extern "C" fn start(work: *mut c_void) -> c_int {
        // SAFETY: `share_space` hands over a pointer to its own `work` and waits for this child.
        let work = unsafe { &*work.cast::<&(dyn Fn() -> i32 + Sync)>() };
        die_with_parent();
        run_child(work)
    }
    struct WaitAtLast(u32);
    impl Drop for WaitAtLast {
        fn drop(&mut self) {
            if self.0 != 0 {
                wait(self.0);
            }
        }
    }

    let flags = libc::CLONE_VM | libc::SIGCHLD;
    let flags = if how == Sharing::Vfork {
        flags | libc::CLONE_VFORK
    } else {
        flags
    };
    let top = (stack.address() + stack.pages() * super::memory::page_bytes()) as *mut c_void;
    // SAFETY: `stack` and `work` are borrowed until the child has been waited for, below or in the
    // guard; the stack's top is page-aligned.
    let pid = unsafe { libc::clone(start, top, flags, (&raw const work).cast_mut().cast()) };
    let pid = done(pid, "clone") as u32;
    let mut guard = WaitAtLast(pid);
    let value = during(pid);
    guard.0 = 0;
    (value, wait(pid))
}

/// Waits for a child to end.
pub fn wait(pid: u32) -> Waited {
    let mut status = 0;
    // SAFETY: an all-zero rusage is a value, and the call only writes to it and to the status.
    let raw = unsafe {
        let mut raw: libc::rusage = std::mem::zeroed();
        done(libc::wait4(pid as i32, &mut status, 0, &mut raw), "wait4");
        raw
    };
    let code = if libc::WIFSIGNALED(status) {
        128 + libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    };
    Waited {
        code,
        usage: Usage::from_kernel(&raw),
    }
}

/// A program and its arguments, ready for exec without another allocation.
#[derive(Debug)]
pub struct Program {
    _argv: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

// SAFETY: the pointers point into the strings beside them, which nobody changes.
unsafe impl Sync for Program {}

impl Program {
    /// Takes the path of the program and its arguments.
    pub fn new<S: AsRef<str>>(argv: &[S]) -> Self {
        let argv: Vec<CString> = argv
            .iter()
            .map(|arg| CString::new(arg.as_ref()).expect("no zero byte"))
            .collect();
        let pointers = argv
            .iter()
            .map(|arg| arg.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            _argv: argv,
            pointers,
        }
    }

    /// Enters the program; returns 127 if that fails.
    pub fn exec(&self) -> i32 {
        // SAFETY: a list of C strings that ends with null.
        unsafe { libc::execv(self.pointers[0], self.pointers.as_ptr()) };
        127
    }
}

/// CPUs that this thread may run on.
pub fn cpus() -> Vec<usize> {
    // SAFETY: an all-zero set is a value, and the call only writes to it.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let bytes = std::mem::size_of::<libc::cpu_set_t>();
        done(
            libc::sched_getaffinity(0, bytes, &mut set),
            "sched_getaffinity",
        );
        set
    };
    // SAFETY: the indices are below the set's size.
    (0..libc::CPU_SETSIZE as usize)
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect()
}

/// Moves this thread to a CPU.
pub fn move_to(cpu: usize) {
    assert!(cpu < libc::CPU_SETSIZE as usize);
    // SAFETY: an all-zero set is a value; the index is below its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        let bytes = std::mem::size_of::<libc::cpu_set_t>();
        done(libc::sched_setaffinity(0, bytes, &set), "sched_setaffinity");
    }
}

/// `CLOCK_MONOTONIC`, nanoseconds.
pub fn now_ns() -> u64 {
    // SAFETY: an all-zero timespec is a value, and the call only writes to it.
    let time = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        done(
            libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time),
            "clock_gettime",
        );
        time
    };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: i32) {
    // SAFETY: reaches no memory.
    done(unsafe { libc::kill(pid as i32, signal) }, "kill");
}

/// Sends a signal to a process group.
pub fn signal_group(group: u32, signal: i32) {
    // SAFETY: reaches no memory.
    done(
        unsafe { libc::kill(-(group as i32), signal) },
        "kill of a group",
    );
}

/// Makes the caller the leader of a process group of its own.
pub fn lead_group() {
    // SAFETY: reaches no memory.
    done(unsafe { libc::setpgid(0, 0) }, "setpgid");
}

/// Keeps huge pages away from the whole process, whatever the system's default.
pub fn refuse_huge_pages() {
    // SAFETY: reaches no memory.
    done(
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) },
        "PR_SET_THP_DISABLE",
    );
}

/// Lets any process of this user trace the caller, where the Yama module would not.
pub fn allow_tracers() {
    // SAFETY: reaches no memory. Without Yama the call fails, and nothing needs to be allowed.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
}

/// Writes bytes into another process (`process_vm_writev`).
pub fn write_into(pid: u32, address: usize, bytes: &[u8]) {
    let local = libc::iovec {
        iov_base: bytes.as_ptr() as *mut c_void,
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: address as *mut c_void,
        iov_len: bytes.len(),
    };
    // SAFETY: reads `bytes` only; what is written belongs to another process, which asked for it.
    let written = unsafe { libc::process_vm_writev(pid as i32, &local, 1, &remote, 1, 0) };
    assert_eq!(done(written, "process_vm_writev") as usize, bytes.len());
}

/// A process that is being traced; let go when dropped.
#[derive(Debug)]
pub struct Traced(u32);

impl Traced {
    /// Attaches and waits until the process has stopped.
    pub fn attach(pid: u32) -> Self {
        let mut status = 0;
        let null = ptr::null_mut::<c_void>();
        // SAFETY: reaches no memory but the status.
        unsafe {
            done(
                libc::ptrace(libc::PTRACE_ATTACH, pid as i32, null, null),
                "PTRACE_ATTACH",
            );
            done(libc::waitpid(pid as i32, &mut status, 0), "waitpid");
        }
        assert!(libc::WIFSTOPPED(status), "the traced process did not stop");
        Self(pid)
    }

    /// Writes a word into it.
    pub fn poke(&self, address: usize, word: u64) {
        // SAFETY: what is written belongs to another process, which asked for it.
        let result = unsafe { libc::ptrace(libc::PTRACE_POKEDATA, self.0 as i32, address, word) };
        done(result, "PTRACE_POKEDATA");
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let null = ptr::null_mut::<c_void>();
        // SAFETY: reaches no memory.
        done(
            unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0 as i32, null, null) },
            "PTRACE_DETACH",
        );
    }
}

/// Writes to stdout, unbuffered and without an allocation.
pub fn say(text: &[u8]) {
    // SAFETY: reads `text` only.
    let written = unsafe { libc::write(1, text.as_ptr().cast(), text.len()) };
    assert_eq!(done(written, "write to stdout") as usize, text.len());
}

/// Reads from stdin until a line or the input ends; with `false` only practises it.
pub fn await_line(really: bool) {
    let mut byte = [0_u8];
    loop {
        // SAFETY: writes to `byte` only.
        let read = unsafe { libc::read(0, byte.as_mut_ptr().cast(), usize::from(really)) };
        if done(read, "read from stdin") == 0 || byte[0] == b'\n' {
            return;
        }
    }
}

/// Whether the caller is root.
pub fn is_root() -> bool {
    // SAFETY: only returns a number.
    unsafe { libc::geteuid() == 0 }
}

/// Whether the kernel has a place for programs at the entry of this function of its own, as it tells
/// those who trace it.
pub fn may_be_traced(function: &str) -> bool {
    const AT: &CStr = c"/sys/kernel/tracing";
    const TRACEFS: &CStr = c"tracefs";
    // Not mounted everywhere; where it is, this fails and changes nothing.
    // SAFETY: constant strings.
    unsafe {
        libc::mount(
            TRACEFS.as_ptr(),
            AT.as_ptr(),
            TRACEFS.as_ptr(),
            0,
            ptr::null(),
        )
    };
    match std::fs::read_to_string("/sys/kernel/tracing/available_filter_functions") {
        Ok(list) => list.lines().any(|line| line == function),
        // Nobody may trace functions here.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => false,
        Err(error) => panic!("the kernel's list of functions: {error}"),
    }
}
