//! Setting a run up: facts, plan and programs, and then whatever is to be traced becomes the target.

use std::{os::unix::fs::MetadataExt as _, path::Path, time::SystemTime};

use anyhow::Context as _;
use nix::unistd::Uid;

use super::{
    AtStart, How, Session, What, charges::Charges, followed::Followed, living::Living,
    looks::Looks, named, own_cgroup::doubt_of_limit, pss::Pss, status::Status,
};
use crate::{
    capture::{Destination, Writer},
    cgroup::Cgroup,
    command::reaped::pidfd,
    event::{Begun, Event, TargetAsked},
    failure::Failure,
    host,
    kernel::{
        attach::{Live, object},
        facts::Facts,
        plan::{Asked, DEFAULT_QUANTUM_BYTES, Plan, functions},
        privilege,
    },
    model::Model,
    sampler, signals,
};

impl Session {
    pub(super) fn start(
        what: What,
        how: How,
        capture: Option<Destination>,
    ) -> Result<Self, Failure> {
        let page_bytes = host::page_bytes();
        let mut facts = Facts::of_running_kernel().context(
            "memtrace needs a kernel built with CONFIG_DEBUG_INFO_BTF; memtrace check tells more",
        )?;
        let asked = Asked {
            holds_command: matches!(what, What::Command { .. }),
            follow: how.follow,
            quantum_bytes: how.quantum_bytes,
            programs_are_phases: how.programs_are_phases,
            tells_syscalls: how.tells_syscalls,
            fault_latency: how.fault_latency,
            follows_cgroup: matches!(what, What::Cgroup { .. }),
            ring_bytes: how.ring_bytes,
            page_bytes,
        };
        if functions::may_be_wanted(&asked, &facts) {
            facts = facts.with_fentry_tried();
        }
        let plan = Plan::make(&asked, &facts)
            .map_err(|refusal| anyhow::anyhow!("{refusal}. memtrace check tells more"))?;
        let object = object().context("tracing cannot be set up")?;
        let mut live = Live::attach(&object, &plan).map_err(|error| {
            let why = if error.is_forbidden() {
                "tracing cannot be set up, though the capabilities are there: a sandbox (seccomp) or \
                 a security module may forbid the bpf call; what a container's engine forbids is \
                 lifted by its option --security-opt seccomp=unconfined"
            } else {
                "tracing cannot be set up"
            };
            anyhow::Error::from(error).context(why)
        })?;
        if how.self_stats {
            live.time_programs()
                .context("--self-stats needs CAP_SYS_ADMIN: run memtrace with sudo")?;
        }
        live.attach_functions(&how.functions).context(
            if privilege::may_probe_programs(&privilege::effective()) {
                "the functions cannot be made phases"
            } else {
                "the functions cannot be made phases. Many kernels want CAP_SYS_ADMIN for that: \
                 run memtrace with sudo"
            },
        )?;
        // From here on a signal ends the run with a report.
        let signals = signals::wait_for()?;
        let mut followed = match &what {
            What::Cgroup { wanted, wait } => {
                // Loads the census, which takes a tenth of a second: what is waited for may not
                // last as long.
                live.refresh().context("tracing cannot be set up")?;
                let found = Followed::find(wanted, *wait, &signals)?;
                ensure_mine(&found.cgroup.directory)?;
                Some(found)
            }
            _ => None,
        };
        let start_ns = host::monotonic_ns();
        let (asked_target, asked_pids) = match &what {
            What::Command { holder, argv } => {
                let pid = holder.pid.as_raw() as u32;
                (
                    TargetAsked::Command {
                        argv: argv.clone(),
                        pid,
                        follow: how.follow,
                    },
                    vec![pid],
                )
            }
            What::Pids(pids) => (
                TargetAsked::Pids {
                    pids: pids.clone(),
                    follow: how.follow,
                },
                pids.clone(),
            ),
            What::Cgroup { .. } => {
                let cgroup = &followed.as_ref().context("it was found")?.cgroup;
                (
                    TargetAsked::Cgroup {
                        path: cgroup.directory.display().to_string(),
                        container_name: cgroup.container.clone(),
                        pod_name: cgroup.pod.clone(),
                    },
                    Vec::new(),
                )
            }
        };
        let begun = Begun {
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            bpf_sha256: host::sha256(&object),
            kernel: facts.release.clone(),
            arch: std::env::consts::ARCH.to_owned(),
            cpus: facts.cpus,
            page_bytes,
            cgroup: facts.cgroup.clone(),
            target: asked_target,
            started_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            start_ns,
            quantum_bytes: how.quantum_bytes.unwrap_or(DEFAULT_QUANTUM_BYTES),
            quantum_grows: how.quantum_bytes.is_none(),
            hooks: plan.hooks(),
            tells_syscalls: how.tells_syscalls,
            counts_once: how.counts_once,
            max_peak_bytes: how.max_peak_bytes,
            fault_latency: plan.fault_latency,
            functions: how.functions.iter().map(|of| of.name.clone()).collect(),
            doubts: plan.doubts,
        };
        let cgroup = asked_pids.first().and_then(|pid| AtStart::of(*pid));
        let directory = (followed.as_ref().map(|followed| &followed.cgroup.directory))
            .or(cgroup.as_ref().map(|cgroup| &cgroup.directory));
        let under_limit = directory.and_then(|directory| doubt_of_limit(directory));
        let command = match what {
            What::Command { holder, .. } => {
                let fd = pidfd(holder.pid).context("the command cannot be watched")?;
                let pid = holder.release()?;
                how.samplers.iter().for_each(sampler::Start::now);
                Some((pid, fd))
            }
            What::Pids(pids) => {
                let found = live.seed(&pids).context("tracing cannot be set up")?;
                if found == 0 {
                    return Err(named::nobody(&pids).into());
                }
                None
            }
            What::Cgroup { wait, .. } => {
                let followed = followed.as_mut().context("it was found")?;
                let Cgroup { id, level, .. } = followed.cgroup;
                let found = live.follow_cgroup(id, level);
                if found.context("tracing cannot be set up")? == 0 && !wait {
                    return Err(anyhow::anyhow!(
                        "nothing runs in the cgroup {}. Wait for it with --wait",
                        followed.cgroup.directory.display()
                    )
                    .into());
                }
                followed.read();
                None
            }
        };
        let mut session = Self {
            live,
            model: Model::new(),
            capture: capture.map(Writer::start).transpose()?,
            how,
            page_bytes,
            living: Living::default(),
            command,
            cgroup: None,
            doubts: Vec::from_iter(under_limit),
            charges: (followed.as_ref())
                .and_then(|followed| Charges::of(&followed.cgroup.directory)),
            followed,
            pss: Pss::new(page_bytes),
            looks: Looks::new(),
            signals,
            status: None,
        };
        session.take(Event::Begun(Box::new(begun)));
        session.fetch();
        if session.command.is_none() {
            session.tell_of_missing(&asked_pids);
        }
        session.cgroup = cgroup.map(|cgroup| AtStart {
            strangers: session.strangers(&cgroup.directory),
            ..cgroup
        });
        if session.how.status_line {
            session.status = Status::start(asked_pids, page_bytes);
        }
        Ok(session)
    }
}

/// A cgroup of another user's is for those who may look into that user's processes.
fn ensure_mine(directory: &Path) -> anyhow::Result<()> {
    let owner = std::fs::metadata(directory).map(|metadata| metadata.uid());
    let owner = owner.with_context(|| format!("{} cannot be read", directory.display()))?;
    anyhow::ensure!(
        owner == Uid::current().as_raw() || privilege::may_trace_others(&privilege::effective()),
        "the cgroup {} belongs to another user. Run memtrace as root, or with CAP_SYS_PTRACE",
        directory.display()
    );
    Ok(())
}
