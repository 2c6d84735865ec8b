//! What this kernel has, asked of its own files: nothing is derived from version numbers.
//!
//! [`Facts`] is plain data. It can be read from a described kernel (files under another root) as
//! well as from the running one, so that [`super::plan`] is tested without any kernel.

mod names;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use self::names::{
    ARM64_REGISTERS, BASE_OFFSETS, CONTROLLERS, FUNCTIONS, HELPERS, OFFSETS, PREEMPTIBLE_GUARD,
    STRUCTURES, TRACEPOINTS,
};
pub use self::names::{base, functions, structures};
use super::{
    btf::{Btf, BtfError},
    fentry,
    outline::{Kind, Named},
};
use crate::cgroup::Hierarchy;

/// Why facts could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The kernel has no type information to read.
    #[error("this kernel offers no type information: {path} cannot be read ({error})")]
    NoBtf {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        error: std::io::Error,
    },
    /// It has some, in a form that we do not know.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

/// What the kernel said to a program at a function of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Fentry {
    /// It loads and attaches.
    Accepted,
    /// It does not.
    Refused {
        /// The kernel's reason.
        why: String,
    },
}

/// A tracepoint that programs can attach to with typed arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracepoint {
    /// Number of arguments that it hands to a program.
    pub arguments: u32,
    /// BTF id of `btf_trace_` and its name.
    pub type_id: u32,
}

/// A processor's architecture, by its name in `uname -m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// x86-64.
    X86_64,
    /// arm64.
    Aarch64,
}

impl Arch {
    /// The one that this program is built for, and with it the kernel that it runs on.
    pub const OWN: Self = if cfg!(target_arch = "x86_64") {
        Self::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Self::Aarch64
    } else {
        panic!("memtrace knows the system calls of x86-64 and arm64 only")
    };
}

/// Facts of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -r`.
    pub release: String,
    /// The architecture that it is built for.
    pub arch: Arch,
    /// Possible CPUs: the highest number and one.
    pub cpus: u32,
    /// Offsets found, by symbol; a field that this kernel lacks is not in it.
    pub offsets: BTreeMap<String, u64>,
    /// Sizes of structs, bytes.
    pub sizes: BTreeMap<String, u64>,
    /// Element and length of `mm_struct.rss_stat`, if it is an array.
    pub rss_stat: Option<(String, u32)>,
    /// BTF tracepoints.
    pub tracepoints: BTreeMap<String, Tracepoint>,
    /// Functions that BTF knows, and their ids.
    pub functions: BTreeMap<String, u32>,
    /// Helpers that programs call and that this kernel lacks.
    #[serde(default)]
    pub missing_helpers: Vec<String>,
    /// Whether programs may be attached to the fault handler; `None` if it was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fentry: Option<Fentry>,
    /// BTF ids of structs.
    pub structures: BTreeMap<String, u32>,
    /// Programs of tracepoints may be preempted.
    pub preemptible_tracepoints: bool,
    /// What the security modules allow, as `/sys/kernel/security/lockdown` says; `None` if unknown.
    pub lockdown: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`; `None` if there is no such setting.
    pub unprivileged_bpf_disabled: Option<u32>,
    /// Number of the memory controller among the cgroup controllers.
    pub memory_controller: Option<u64>,
    /// Version of the hierarchy that the memory controller is in: `v1`, `v2` or `none`.
    pub cgroup: String,
}

impl Facts {
    /// Reads the facts of the kernel whose files are under `root` (`/` for the running one).
    ///
    /// # Errors
    ///
    /// [`FactsError`] if there is no readable BTF.
    pub fn read(root: &Path) -> Result<Self, FactsError> {
        let path = root.join("sys/kernel/btf/vmlinux");
        let blob = fs::read(&path).map_err(|error| FactsError::NoBtf { path, error })?;
        let traces: Vec<String> = TRACEPOINTS
            .iter()
            .map(|name| format!("btf_trace_{name}"))
            .collect();
        let offsets = || OFFSETS.iter().chain(&BASE_OFFSETS);
        let names = offsets()
            .map(|(_, structure, _)| *structure)
            .chain(FUNCTIONS)
            .chain(STRUCTURES)
            .chain([CONTROLLERS.0, HELPERS.0, PREEMPTIBLE_GUARD])
            .chain(traces.iter().map(String::as_str));
        let btf = Btf::parse(blob, names)?;
        let text = |path: &str| {
            fs::read_to_string(root.join(path))
                .ok()
                .map(|text| text.trim().to_owned())
        };
        Ok(Self {
            release: text("proc/sys/kernel/osrelease").unwrap_or_default(),
            arch: Arch::OWN,
            cpus: text("sys/devices/system/cpu/possible")
                .and_then(|list| highest(&list))
                .map_or(1, |cpu| cpu + 1),
            offsets: offsets()
                .filter_map(|(symbol, structure, field)| {
                    Some(((*symbol).to_owned(), btf.offset(structure, field)?))
                })
                .chain(
                    ARM64_REGISTERS
                        .iter()
                        .filter_map(|(symbol, field, within)| {
                            let offset = btf.offset("pt_regs", field)?;
                            Some(((*symbol).to_owned(), offset + within))
                        }),
                )
                .collect(),
            sizes: ["percpu_counter", "upid"]
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.size(name)?)))
                .collect(),
            rss_stat: btf.array_of("mm_struct", "rss_stat"),
            tracepoints: TRACEPOINTS
                .iter()
                .filter_map(|name| {
                    let (type_id, arguments) = btf.tracepoint(name)?;
                    Some(((*name).to_owned(), Tracepoint { arguments, type_id }))
                })
                .collect(),
            functions: FUNCTIONS
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.function(name)?)))
                .collect(),
            missing_helpers: HELPERS
                .1
                .iter()
                .filter(|name| btf.enumerator(HELPERS.0, name).is_none())
                .map(|name| name.replace("BPF_FUNC_", "bpf_"))
                .collect(),
            fentry: None,
            structures: STRUCTURES
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), btf.structure(name)?)))
                .collect(),
            preemptible_tracepoints: btf.has_typedef(PREEMPTIBLE_GUARD),
            memory_controller: btf.enumerator(CONTROLLERS.0, CONTROLLERS.1),
            lockdown: text("sys/kernel/security/lockdown"),
            unprivileged_bpf_disabled: text("proc/sys/kernel/unprivileged_bpf_disabled")
                .and_then(|value| value.parse().ok()),
            cgroup: text("proc/self/mountinfo")
                .and_then(|mounts| Hierarchy::find(&mounts))
                .map_or("none", |hierarchy| hierarchy.version())
                .to_owned(),
        })
    }

    /// Reads those of the running kernel, but for the tracepoints that `MEMTRACE_WITHOUT` names: with
    /// that the tests see what becomes of a run on a kernel that lacks them.
    ///
    /// # Errors
    ///
    /// As [`Facts::read`].
    pub fn of_running_kernel() -> Result<Self, FactsError> {
        let mut facts = Self::read(Path::new("/"))?;
        if let Some(without) = env::var_os("MEMTRACE_WITHOUT") {
            let without = without.to_string_lossy();
            let is_named = |name: &str| without.split(',').any(|named| named == name);
            facts.tracepoints.retain(|name, _| !is_named(name));
        }
        Ok(facts)
    }

    /// Number of arguments of a tracepoint; `None` if it is not there.
    pub fn arguments(&self, tracepoint: &str) -> Option<u32> {
        let found = self.tracepoints.get(tracepoint);
        found.map(|tracepoint| tracepoint.arguments)
    }

    /// Whether programs may be attached to a function, as far as it was tried.
    pub fn accepts_programs_at(&self, function: &str) -> bool {
        self.functions.contains_key(function) && self.fentry == Some(Fentry::Accepted)
    }

    /// What programs can attach to, by the kernel's numbers.
    pub fn attachable(&self) -> Vec<Named> {
        let named = |id: &u32, kind, name| Named {
            id: *id,
            kind,
            name,
        };
        let functions = self.functions.iter();
        let functions = functions.map(|(name, id)| named(id, Kind::Function, name.clone()));
        let tracepoints = self
            .tracepoints
            .iter()
            .map(|(name, Tracepoint { type_id, .. })| {
                named(type_id, Kind::Typedef, format!("btf_trace_{name}"))
            });
        functions.chain(tracepoints).collect()
    }

    /// Tries whether the running kernel lets a program attach to its fault handler: no file tells.
    #[must_use]
    pub fn with_fentry_tried(mut self) -> Self {
        let handler = self.functions.get(functions::FAULT_HANDLER);
        self.fentry = handler.map(|handler| match fentry::probe(*handler) {
            Ok(()) => Fentry::Accepted,
            Err(error) => Fentry::Refused {
                why: error.to_string(),
            },
        });
        self
    }
}

/// Highest number in a list such as `0-3,8`.
fn highest(list: &str) -> Option<u32> {
    list.rsplit([',', '-']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::highest;

    #[test]
    fn the_highest_cpu_of_a_list() {
        assert_eq!(highest("0-1"), Some(1));
        assert_eq!(highest("0"), Some(0));
        assert_eq!(highest("0-3,8-11"), Some(11));
        assert_eq!(highest(""), None);
    }
}
