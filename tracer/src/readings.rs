//! Readings of other instruments: what `/proc` says at this moment. Reads files, judges nothing.

use std::{fs, io};

use serde::{Deserialize, Serialize};
use tracer_common::limits::ARGV_BYTES;

/// Memory of a process as `/proc` shows it, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcMemory {
    /// `VmHWM` of `status`.
    pub vm_hwm_bytes: u64,
    /// `VmRSS` of `status`.
    pub vm_rss_bytes: u64,
    /// Second field of `statm`.
    pub statm_rss_bytes: u64,
}

/// Reads a process's memory; `None` if it is gone or has no space any more.
pub fn proc_memory(pid: u32, page_bytes: u64) -> Option<ProcMemory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':')
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    };
    Some(ProcMemory {
        vm_hwm_bytes: kib("VmHWM")? * 1024,
        vm_rss_bytes: kib("VmRSS")? * 1024,
        statm_rss_bytes: statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * page_bytes,
    })
}

/// Sums over the mappings of a process, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// `Rss`.
    pub rss_bytes: u64,
    /// `Pss`: each page by its share.
    pub pss_bytes: u64,
    /// `Pss_Anon`.
    pub pss_anon_bytes: u64,
    /// `Pss_File`.
    pub pss_file_bytes: u64,
    /// `Pss_Shmem`.
    pub pss_shmem_bytes: u64,
}

/// Reads `smaps_rollup`: the kernel walks the process's page tables for it.
///
/// # Errors
///
/// If the process is gone, or not the reader's to look at.
pub fn rollup(pid: u32) -> io::Result<Rollup> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    rolled_up(&text).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn rolled_up(text: &str) -> Option<Rollup> {
    let bytes = |name: &str| {
        let of = |line: &str| Some(line.strip_prefix(name)?.trim().to_owned());
        let kib = text.lines().find_map(of)?;
        Some(kib.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Rollup {
        rss_bytes: bytes("Rss:")?,
        pss_bytes: bytes("Pss:")?,
        pss_anon_bytes: bytes("Pss_Anon:")?,
        pss_file_bytes: bytes("Pss_File:")?,
        pss_shmem_bytes: bytes("Pss_Shmem:")?,
    })
}

/// Whether a process is there and has not ended.
pub fn lives(pid: u32) -> bool {
    let text = stat(pid).unwrap_or_default();
    !matches!(
        after_name(&text).and_then(|fields| fields.get(..1)),
        None | Some("Z" | "X")
    )
}

fn stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The fields from the state on. The name before it, in brackets, may itself hold brackets and
/// spaces.
fn after_name(stat: &str) -> Option<&str> {
    stat.get(stat.rfind(')')? + 2..)
}

/// Faults of a process, minor and major together; `None` if it is gone.
pub fn faults(pid: u32) -> Option<u64> {
    let text = stat(pid)?;
    let fields: Vec<&str> = after_name(&text)?.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(number(7)? + number(9)?)
}

/// What bounds the virtual memory of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualLimits {
    /// `Max address space` (`ulimit -v`); `None` if unlimited.
    pub address_space_bytes: Option<u64>,
    /// `Max data size` (`ulimit -d`); `None` if unlimited.
    pub data_bytes: Option<u64>,
    /// `vm.overcommit_memory`: 0 refuses what no machine of this size could hold, 1 nothing, 2 what
    /// goes beyond `CommitLimit`.
    pub overcommit: Option<u64>,
    /// Memory and swap of the machine.
    pub machine_bytes: Option<u64>,
    /// `CommitLimit`.
    pub commit_limit_bytes: Option<u64>,
    /// `Committed_AS`.
    pub committed_bytes: Option<u64>,
}

/// Reads them; `None` if the process is gone.
pub fn virtual_limits(pid: u32) -> Option<VirtualLimits> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let soft = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let bytes = |name: &str| {
        let line = machine.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    let overcommit = fs::read_to_string("/proc/sys/vm/overcommit_memory").ok();
    Some(VirtualLimits {
        address_space_bytes: soft("Max address space"),
        data_bytes: soft("Max data size"),
        overcommit: overcommit.and_then(|text| text.trim().parse().ok()),
        machine_bytes: bytes("MemTotal:")
            .zip(bytes("SwapTotal:"))
            .map(|(memory, swap)| memory + swap),
        commit_limit_bytes: bytes("CommitLimit:"),
        committed_bytes: bytes("Committed_AS:"),
    })
}

/// Thread group of a PID: itself for a process, another for a thread; `None` if there is no such.
pub fn thread_group(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))?
        .trim()
        .parse()
        .ok()
}

/// PID of a process in the innermost of its PID namespaces; `None` if that is the one of `/proc`
/// here, or if the process is gone.
pub fn pid_inside(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let pids = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    let inner = pids.split_whitespace().skip(1).last()?;
    inner.parse().ok()
}

/// Command line of a process, arguments that each end with a zero, as far as it is kept, and whether
/// it is longer; `None` if the process is gone, or is the kernel's.
pub fn command_line(pid: u32) -> Option<(Vec<u8>, bool)> {
    let mut line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let cut = line.len() > ARGV_BYTES;
    line.truncate(ARGV_BYTES);
    (!line.is_empty()).then_some((line, cut))
}

/// Real user id of a process; `None` if it is gone.
pub fn owner(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_there_reads_as_none() {
        assert_eq!(proc_memory(u32::MAX, 4096), None);
        assert_eq!(thread_group(u32::MAX), None);
    }

    #[test]
    fn a_rollup_is_read_by_its_names() {
        let text = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:    1204 kB\nPss:     300 kB\n\
                    Pss_Dirty: 4 kB\nPss_Anon:  96 kB\nPss_File: 204 kB\nPss_Shmem:  0 kB\n";
        let found = rolled_up(text).unwrap();
        assert_eq!((found.rss_bytes, found.pss_bytes), (1_204 << 10, 300 << 10));
        assert_eq!(
            (
                found.pss_anon_bytes,
                found.pss_file_bytes,
                found.pss_shmem_bytes
            ),
            (96 << 10, 204 << 10, 0)
        );
        assert_eq!(rolled_up(""), None);
        assert!(rollup(std::process::id()).unwrap().rss_bytes > 0);
    }

    #[test]
    fn own_memory_reads_as_something() {
        let own = proc_memory(std::process::id(), 4096).unwrap();
        assert!(own.vm_hwm_bytes > 0 && own.vm_rss_bytes > 0 && own.statm_rss_bytes > 0);
    }
}
