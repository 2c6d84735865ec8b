//! The system calls that workloads and tests need, each behind a safe function.
//!
//! All unsafe code of this crate is here. The wrappers allocate nothing and touch nothing but what
//! they are asked to, because a workload's arithmetic holds only if it knows every page it touches.

pub mod bpf;
pub mod cgroup;
pub mod file;
pub mod mark;
pub mod memory;
pub mod process;
pub mod restrict;
pub mod swap;
pub mod sync;
pub mod terminal;
pub mod userfault;

use std::io;

/// Turns the result of a system call into the error it left behind.
fn done<T: PartialOrd + From<i8>>(result: T, what: &str) -> T {
    if result < T::from(0) {
        panic!("{what}: {}", io::Error::last_os_error());
    }
    result
}
