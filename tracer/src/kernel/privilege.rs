//! What the running user may do: capabilities, asked of the kernel and not of the user id.

use std::collections::BTreeSet;

use crate::host;

/// A capability that memtrace needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Name as `setcap` spells it.
    pub name: &'static str,
    /// Bit in the kernel's masks.
    pub bit: u32,
    /// What for.
    pub why: &'static str,
}

/// All that tracing needs. `CAP_SYS_ADMIN` stands for the first two, as it does in the kernel
/// (`bpf_capable`, `perfmon_capable`).
pub const NEEDED: [Needed; 2] = [
    Needed {
        name: "cap_bpf",
        bit: 39,
        why: "to load programs and make maps",
    },
    Needed {
        name: "cap_perfmon",
        bit: 38,
        why: "to attach them to tracepoints and read kernel memory",
    },
];

const SYS_ADMIN: u32 = 21;
const SYS_PTRACE: u32 = 19;

/// Why tracing is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this user may not trace: {} missing. {}",
    names(missing),
    remedy(missing)
)]
pub struct NotPrivileged {
    /// What is missing.
    pub missing: Vec<Needed>,
}

fn names(missing: &[Needed]) -> String {
    let names: Vec<String> = missing
        .iter()
        .map(|needed| needed.name.to_uppercase())
        .collect();
    format!(
        "{} {}",
        names.join(" and "),
        if names.len() == 1 { "is" } else { "are" }
    )
}

/// The command that mends it.
pub fn remedy(_missing: &[Needed]) -> String {
    let program = std::env::current_exe()
        .map_or_else(|_| "memtrace".to_owned(), |path| path.display().to_string());
    format!("Run it with sudo, or allow it once: sudo setcap cap_bpf,cap_perfmon=ep {program}")
}

/// Capabilities in force, by bit.
pub fn effective() -> BTreeSet<u32> {
    let mask = host::own_mask("CapEff:");
    (0..64).filter(|bit| mask >> bit & 1 == 1).collect()
}

/// Those of [`NEEDED`] that `held` lacks.
///
/// # Errors
///
/// [`NotPrivileged`] if there are any.
pub fn check(held: &BTreeSet<u32>) -> Result<(), NotPrivileged> {
    if held.contains(&SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<Needed> = NEEDED
        .into_iter()
        .filter(|needed| !held.contains(&needed.bit))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(NotPrivileged { missing })
    }
}

/// Whether probes may be put into programs: newer kernels want `CAP_SYS_ADMIN` for them
/// (`perf_uprobe_event_init`, events/core.c).
pub fn may_probe_programs(held: &BTreeSet<u32>) -> bool {
    held.contains(&SYS_ADMIN)
}

/// Whether other users' processes may be looked into, as the kernel asks of `ptrace`.
pub fn may_trace_others(held: &BTreeSet<u32>) -> bool {
    held.contains(&SYS_PTRACE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_is_named_with_the_command_that_gives_it() {
        assert_eq!(check(&BTreeSet::from([SYS_ADMIN])), Ok(()));
        assert_eq!(check(&BTreeSet::from([38, 39])), Ok(()));
        let text = check(&BTreeSet::from([38])).unwrap_err().to_string();
        assert!(text.contains("CAP_BPF is missing"), "{text}");
        assert!(!text.contains("CAP_PERFMON is"), "{text}");
        assert!(
            text.contains("sudo setcap cap_bpf,cap_perfmon=ep"),
            "{text}"
        );
        let both = check(&BTreeSet::new()).unwrap_err().to_string();
        assert!(
            both.contains("CAP_BPF and CAP_PERFMON are missing"),
            "{both}"
        );
    }
}
